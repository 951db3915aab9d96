//! A queue that is fair to whoever waits in it, whatever their commands cost.
//!
//! Start-time fair queueing (P. Goyal, H. Vin and H. Cheng, 1996). Each account has a flow in each connection. A command that arrives
//! gets two tags in virtual time, which is counted in microseconds of estimated cost: its *start* is the finish of
//! the command before it in its flow, or the virtual time where that is later; its *finish* is its start and its
//! cost. The command with the lowest start is begun next (of equals the one that finishes first, then the one that
//! came first) and sets the virtual time to its start. Whether one worker takes commands out or many changes nothing
//! in what follows, since it speaks of what is begun:
//!
//! - *Nobody is passed over.* Let a command arrive with work `A` ahead of it: the commands of its own flow that wait,
//!   and the last one of its flow that was begun. Until it is begun, each other flow has at most `A` and one command
//!   more begun. A command whose flow was idle lately waits for at most one command of each other flow, and then for
//!   the next worker that is free.
//! - *Shares are equal.* While two flows both wait, what is begun of one never exceeds what is begun of the other by
//!   more than the dearest command of the one and the dearest of the other.
//! - *Order is kept* within a flow, and whoever was idle has saved nothing up.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

/// So many flows are kept at least before those are looked for that need not be.
const FEW_FLOWS: usize = 1024;

/// A fair queue of things that cost something to do, in flows that have names.
pub(crate) struct FairQueue<N, T> {
    /// Start of what was begun last.
    virtual_time: u64,
    flows: HashMap<N, Flow<T>>,
    /// At how many flows those are forgotten that need not be kept.
    many: usize,
    /// The first of each flow that waits.
    heads: BTreeMap<Tags, N>,
    arrivals: u64,
}

struct Flow<T> {
    /// Finish of what arrived last.
    finish: u64,
    waiting: VecDeque<(Tags, T)>,
}

/// What decides who is next, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tags {
    start: u64,
    finish: u64,
    arrival: u64,
}

impl<N: Copy + Eq + Hash, T> FairQueue<N, T> {
    /// A queue in which nothing waits.
    pub(crate) fn new() -> Self {
        Self { virtual_time: 0, flows: HashMap::new(), many: FEW_FLOWS, heads: BTreeMap::new(), arrivals: 0 }
    }

    /// Adds something of a flow. It costs one microsecond at least, so that virtual time passes.
    pub(crate) fn push(&mut self, flow_id: N, cost_micros: u32, item: T) {
        self.forget_idle();
        let flow = self.flows.entry(flow_id).or_insert_with(|| Flow { finish: 0, waiting: VecDeque::new() });
        let start = self.virtual_time.max(flow.finish);
        flow.finish = start.saturating_add(u64::from(cost_micros.max(1)));
        let tags = Tags { start, finish: flow.finish, arrival: self.arrivals };
        self.arrivals = self.arrivals.wrapping_add(1);
        if flow.waiting.is_empty() {
            self.heads.insert(tags, flow_id);
        }
        flow.waiting.push_back((tags, item));
    }

    /// Forgets flows in which nothing waits and whose last finish has passed: they begin where they would go on.
    fn forget_idle(&mut self) {
        if self.flows.len() < self.many {
            return;
        }
        let now = self.virtual_time;
        self.flows.retain(|_, flow| !flow.waiting.is_empty() || flow.finish > now);
        self.many = FEW_FLOWS.max(2 * self.flows.len());
    }

    /// How much waits in a flow.
    pub(crate) fn len(&self, flow_id: N) -> usize {
        self.flows.get(&flow_id).map_or(0, |flow| flow.waiting.len())
    }

    /// Takes out what is to be begun next.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let (tags, flow_id) = self.heads.pop_first()?;
        self.virtual_time = tags.start;
        let flow = self.flows.get_mut(&flow_id)?;
        let (_, item) = flow.waiting.pop_front()?;
        if let Some((next, _)) = flow.waiting.front() {
            self.heads.insert(*next, flow_id);
        }
        Some(item)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// What waits in a flow costs, and the first of it, in microseconds. Its tags follow each other without gaps: it
    /// waits, so virtual time has not passed its finish.
    pub(crate) fn waiting(&self, flow_id: N) -> (u64, u64) {
        let Some(flow) = self.flows.get(&flow_id) else { return (0, 0) };
        let Some((first, _)) = flow.waiting.front() else { return (0, 0) };
        (flow.finish.saturating_sub(first.start), first.finish.saturating_sub(first.start))
    }

    /// Forgets flows, for good, and gives what waited in them.
    pub(crate) fn remove(&mut self, is_gone: impl Fn(N) -> bool) -> Vec<T> {
        let gone: Vec<Flow<T>> =
            self.flows.extract_if(|name, _| is_gone(*name)).map(|(_, flow)| flow).collect();
        for flow in &gone {
            if let Some((tags, _)) = flow.waiting.front() {
                self.heads.remove(tags);
            }
        }
        gone.into_iter().flat_map(|flow| flow.waiting).map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A command: when it arrives, of which flow, and what it costs.
    type Arrival = (u64, u64, u32);

    /// Plays arrivals (ordered by time) to workers with a clock of its own; gives when each command began.
    fn play(workers: usize, arrivals: &[Arrival]) -> Vec<u64> {
        let (mut queue, mut begun) = (FairQueue::new(), vec![u64::MAX; arrivals.len()]);
        let mut free_at = vec![0_u64; workers];
        let mut coming = arrivals.iter().enumerate().peekable();
        loop {
            let worker = (0..workers).min_by_key(|worker| free_at[*worker]).unwrap();
            let next = if queue.heads.is_empty() { coming.peek().map(|(_, (time, ..))| *time) } else { None };
            let now = free_at[worker].max(next.unwrap_or_default());
            while let Some((number, (_, flow, cost))) = coming.next_if(|(_, (time, ..))| *time <= now) {
                queue.push(*flow, *cost, (number, *cost));
            }
            let Some((number, cost)) = queue.pop() else { return begun };
            begun[number] = now;
            free_at[worker] = now + u64::from(cost);
        }
    }

    /// How long one command waits that arrives at 1 behind others.
    fn waits(workers: usize, others: &[Arrival], flow: u64, cost: u32) -> u64 {
        let mut arrivals = others.to_vec();
        arrivals.push((1, flow, cost));
        play(workers, &arrivals).last().unwrap() - 1
    }

    const RSA: u32 = 640_000;
    const P256: u32 = 75;

    #[test]
    fn a_burst_delays_others_by_what_runs_at_most() {
        let burst: Vec<Arrival> = (0..64).map(|_| (0, 1, RSA)).collect();
        // What runs: the one key that began at 0. With two workers the second of them at the same time.
        assert_eq!(waits(1, &burst, 2, P256), u64::from(RSA) - 1);
        assert_eq!(waits(2, &burst, 2, P256), u64::from(RSA) - 1);
        // Behind the burst in its own flow a command waits for all of it.
        assert_eq!(waits(1, &burst, 1, P256), 64 * u64::from(RSA) - 1);
        // A worker that is free takes it at once.
        assert_eq!(waits(65, &burst, 2, P256), 0);
        // Many bursts: of each of the others one at most, and here none, because theirs cost more.
        let bursts: Vec<Arrival> = (0..64).map(|number| (0, number % 8, RSA)).collect();
        assert_eq!(waits(1, &bursts, 9, P256), u64::from(RSA) - 1);
        // Among equals the ones who came first go first.
        assert_eq!(waits(1, &bursts, 9, RSA), 8 * u64::from(RSA) - 1);
    }

    #[test]
    fn shares_are_equal_by_cost_and_nothing_is_saved_up() {
        let (mut queue, mut work) = (FairQueue::new(), [0_u32; 3]);
        for _ in 0..400 {
            queue.push(1, 10, (1, 10));
            queue.push(2, 40, (2, 40));
        }
        for _ in 0..250 {
            let (flow, cost) = queue.pop().unwrap();
            work[flow] += cost;
        }
        assert_eq!(work, [0, 2000, 2000]);
        // The third flow was idle all the time; it gets its share from now on, and no more.
        (0..400).for_each(|_| queue.push(0, 10, (0, 10)));
        work = [0; 3];
        for _ in 0..225 {
            let (flow, cost) = queue.pop().unwrap();
            work[flow] += cost;
        }
        assert_eq!(work, [1000, 1000, 1000]);
    }

    #[test]
    fn a_flow_that_is_removed_is_gone() {
        let mut queue = FairQueue::new();
        for item in 0..6 {
            queue.push(item % 2, 5, item);
        }
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.remove(|flow| flow == 0), [2, 4]);
        assert_eq!(queue.remove(|flow| flow == 7), [0; 0]);
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(queue.remove(|flow| flow == 1), [0; 0]);
        assert!(queue.flows.is_empty() && queue.heads.is_empty());
    }

    /// Whoever comes once and not again is not remembered.
    #[test]
    fn idle_flows_are_forgotten() {
        let mut queue = FairQueue::new();
        for flow in 0..100 * FEW_FLOWS {
            queue.push(flow, 5, flow);
            queue.push(usize::MAX, 5, flow);
            assert_eq!((queue.pop(), queue.pop()), (Some(flow), Some(flow)));
            assert!(queue.flows.len() <= 2 * FEW_FLOWS);
        }
    }

    /// What happened: a command arrived, or was begun.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Arrived(usize),
        Begun(usize),
    }

    /// Commands (flow and cost) and all that happened to them, down to an empty queue.
    fn record(steps: &[Option<(u64, u32)>]) -> (Vec<(u64, u32)>, Vec<Event>) {
        let (mut queue, mut commands, mut events) = (FairQueue::new(), Vec::new(), Vec::new());
        let mut waiting = [const { VecDeque::new() }; 4];
        for step in steps {
            match step {
                Some((flow, cost)) => {
                    events.push(Event::Arrived(commands.len()));
                    queue.push(*flow, *cost, commands.len());
                    commands.push((*flow, *cost));
                    waiting[usize::try_from(*flow).unwrap()].push_back(u64::from(*cost));
                }
                None => {
                    if let Some(number) = queue.pop() {
                        events.push(Event::Begun(number));
                        waiting[usize::try_from(commands[number].0).unwrap()].pop_front();
                    }
                }
            }
            for (flow, costs) in (0..).zip(&waiting) {
                let expected = (costs.iter().sum(), costs.front().copied().unwrap_or_default());
                assert_eq!(queue.waiting(flow), expected, "{flow}");
            }
        }
        events.extend(std::iter::from_fn(|| queue.pop()).map(Event::Begun));
        (commands, events)
    }

    fn dearest(commands: &[(u64, u32)], flow: u64) -> u64 {
        commands.iter().filter(|command| command.0 == flow).map(|command| command.1.into()).max().unwrap_or(0)
    }

    /// The first bound of the module's description, for every command and every other flow.
    fn check_waiting(commands: &[(u64, u32)], events: &[Event]) {
        for (number, (flow, _)) in commands.iter().enumerate() {
            let arrived = events.iter().position(|event| matches!(event, Event::Arrived(n) if *n == number));
            let begun = events.iter().position(|event| matches!(event, Event::Begun(n) if *n == number));
            let (arrived, begun) = (arrived.unwrap(), begun.unwrap());
            let began = |event: &Event, whose: u64| match event {
                Event::Begun(n) if commands[*n].0 == whose => Some(u64::from(commands[*n].1)),
                _ => None,
            };
            let between = &events[arrived..begun];
            let last = events[..arrived].iter().rev().find_map(|event| began(event, *flow));
            let ahead =
                last.unwrap_or(0) + between.iter().filter_map(|event| began(event, *flow)).sum::<u64>();
            for other in (0..4).filter(|other| other != flow) {
                let work: u64 = between.iter().filter_map(|event| began(event, other)).sum();
                assert!(
                    work <= ahead + dearest(commands, other),
                    "{number}: {work} of {other}, {ahead} ahead"
                );
            }
        }
    }

    /// The second bound, for every two flows and every span in which both wait.
    fn check_shares(commands: &[(u64, u32)], events: &[Event]) {
        for (one, other) in (0..4).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let bound = dearest(commands, one) + dearest(commands, other);
            for first in 0..events.len() {
                let (mut waiting, mut work) = ([0_usize; 2], [0_u64; 2]);
                for (at, event) in events.iter().enumerate() {
                    let (Event::Arrived(number) | Event::Begun(number)) = event;
                    let (flow, cost) = commands[*number];
                    let both = waiting.iter().all(|count| *count > 0);
                    if at >= first && !both {
                        break;
                    }
                    let Some(side) = [one, other].iter().position(|side| *side == flow) else { continue };
                    match event {
                        Event::Arrived(_) => waiting[side] += 1,
                        Event::Begun(_) => {
                            waiting[side] -= 1;
                            work[side] += if at < first { 0 } else { u64::from(cost) };
                        }
                    }
                    assert!(work[0].abs_diff(work[1]) <= bound, "{one} and {other}, {first}..={at}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_command_is_begun_once_in_order_and_in_time(
            steps in proptest::collection::vec(proptest::option::of((0..4_u64, 1..1000_u32)), 0..80)
        ) {
            let (commands, events) = record(&steps);
            let mut begun: Vec<usize> =
                events.iter().filter_map(|event| if let Event::Begun(n) = event { Some(*n) } else { None }).collect();
            for flow in 0..4 {
                let own: Vec<_> = begun.iter().filter(|number| commands[**number].0 == flow).collect();
                prop_assert!(own.is_sorted());
            }
            check_waiting(&commands, &events);
            check_shares(&commands, &events);
            begun.sort_unstable();
            prop_assert!(begun.into_iter().eq(0..commands.len()));
        }
    }
}
