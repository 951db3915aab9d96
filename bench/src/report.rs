//! What is measured, and the tables that say it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use claviger_server::shell;
use serde_json::Value;

use crate::ceiling::Threads;
use crate::load::{self, Connection, Seen, Target};
use crate::parts::Which;
use crate::requests::{self, Credentials};
use crate::subject::{Ceiling, Claviger, Cpu};
use crate::{asymmetric, crypto, machine, parts, principals};

/// What to measure.
pub(crate) struct Plan {
    pub(crate) programs: Option<PathBuf>,
    pub(crate) work_dir: PathBuf,
    pub(crate) window: Duration,
    pub(crate) connections: usize,
    pub(crate) many_keys: usize,
    pub(crate) quick: bool,
    pub(crate) asymmetric: bool,
    pub(crate) only: Option<String>,
    pub(crate) just: Option<Part>,
    /// Only who calls, beside so many other users.
    pub(crate) by_caller: bool,
    pub(crate) principals: usize,
}

impl Plan {
    /// Length of one of several windows that make a measurement.
    pub(crate) fn slice(&self) -> Duration {
        Duration::from_secs((self.window.as_secs() / ROUNDS).max(1))
    }
}

/// How often each of two things is measured, in turn: what else goes on in the machine then meets both.
pub(crate) const ROUNDS: u64 = 5;

/// How long a load runs before its window begins, at most.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// A part of the whole that can be had alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// What the audit's fsync costs.
    Durability,
    /// Start-up, memory and Decrypt with few and with many keys.
    Keys,
    /// Encrypt beside HTTP with the HSM and the ledger and nothing else.
    Parts,
}

/// Keys of the smaller installation.
const FEW_KEYS: usize = 1_000;
/// Length of what is encrypted, in bytes.
pub(crate) const PLAINTEXT: usize = 64;
/// Requests of a pool; connections go round them.
const POOL: usize = 4_096;

/// Measures and prints.
pub(crate) async fn run(plan: &Plan) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = this.parent().unwrap_or_else(|| Path::new(".")).to_owned();
    let programs = plan.programs.clone().unwrap_or(beside);
    let dir = tempfile::tempdir_in(&plan.work_dir).map_err(|error| error.to_string())?;
    let fsync = machine::fdatasync_micros(dir.path()).map_err(|error| error.to_string())?;
    println!("Processor: {}; fdatasync(2) of 4 KiB: p50 {fsync} us", machine::processor());
    println!(
        "Cryptography of one encryption of 64 bytes, library alone: {:.2} us",
        crypto::encryption_micros()?
    );
    let data = dir.path().join("data");
    let subject = Claviger::start(&programs, &data, true)?;
    println!("Start of an empty folder to ready: {} ms\n", subject.start_up.as_millis());
    if plan.by_caller {
        principals::run(plan, &subject).await?;
        return subject.stop();
    }
    match plan.just {
        None => {}
        Some(Part::Durability) => return durability(plan, &programs, dir.path()).await,
        Some(Part::Keys) => return many_keys(plan, &programs, dir.path()).await,
        Some(Part::Parts) => return beside_parts(plan, &subject, &programs, dir.path()).await,
    }
    let keys = Keys::make(&subject, FEW_KEYS).await?;
    let same = Ceiling::start(&dir.path().join("ceiling"), Threads::Same, (Which::None, &programs))?;
    let stock = Ceiling::start(&dir.path().join("stock-ceiling"), Threads::Stock, (Which::None, &programs))?;
    operations(plan, &subject, [&same, &stock], &keys).await?;
    if plan.quick && !plan.asymmetric {
        return subject.stop();
    }
    if !plan.quick {
        one_connection(plan, &subject, &keys, fsync).await?;
        durability(plan, &programs, dir.path()).await?;
    }
    asymmetric::run(plan, &subject).await?;
    let decrypts = sign(&subject.credentials, &subject.tls, "Decrypt", &keys.bodies("Decrypt", POOL))?;
    asymmetric::stalls(plan, &subject, decrypts).await?;
    if plan.quick {
        return subject.stop();
    }
    subject.stop()?;
    many_keys(plan, &programs, dir.path()).await
}

/// Keys, and a blob of each.
pub(crate) struct Keys {
    pub(crate) ids: Vec<String>,
    blobs: Vec<String>,
}

impl Keys {
    /// Makes so many keys, and encrypts under each.
    pub(crate) async fn make(subject: &Claviger, count: usize) -> Result<Self, String> {
        let made = calls(subject, &subject.credentials, "CreateKey", &vec!["{}".to_owned(); count]).await?;
        let ids: Vec<String> = made.iter().map(|answer| text(answer.pointer("/KeyMetadata/KeyId"))).collect();
        let plaintext = base64_simd::STANDARD.encode_to_string([7; PLAINTEXT]);
        let body = |id: &String| format!(r#"{{"KeyId":"{id}","Plaintext":"{plaintext}"}}"#);
        let bodies: Vec<String> = ids.iter().map(body).collect();
        let encrypted = calls(subject, &subject.credentials, "Encrypt", &bodies).await?;
        let blobs = encrypted.iter().map(|answer| text(answer.get("CiphertextBlob"))).collect();
        Ok(Self { ids, blobs })
    }

    /// Bodies of an operation, one for each key in turn.
    pub(crate) fn bodies(&self, operation: &str, count: usize) -> Vec<String> {
        let plaintext = base64_simd::STANDARD.encode_to_string([9; PLAINTEXT]);
        let pairs = self.ids.iter().zip(&self.blobs).cycle().take(count);
        let all: Vec<_> = pairs.collect();
        let body = |(place, (id, blob)): (usize, &(&String, &String))| match operation {
            "Encrypt" => format!(r#"{{"KeyId":"{id}","Plaintext":"{plaintext}"}}"#),
            "Decrypt" => format!(r#"{{"CiphertextBlob":"{blob}"}}"#),
            "GenerateDataKey" => format!(r#"{{"KeyId":"{id}","KeySpec":"AES_256"}}"#),
            _ => {
                let other = all.get((place + 1) % all.len()).map_or(*id, |(id, _)| *id);
                format!(r#"{{"CiphertextBlob":"{blob}","DestinationKeyId":"{other}"}}"#)
            }
        };
        all.iter().enumerate().map(body).collect()
    }
}

pub(crate) fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(crate) fn sign(
    credentials: &Credentials,
    target: &Target,
    operation: &str,
    bodies: &[String],
) -> Result<Vec<Bytes>, String> {
    let (host, now) = (format!("localhost:{}", target.address.port()), shell::now());
    bodies.iter().map(|body| requests::signed(credentials, &host, operation, body, now)).collect()
}

/// Carries out calls over sixteen connections and answers what they answered, in order.
pub(crate) async fn calls(
    subject: &Claviger,
    credentials: &Credentials,
    operation: &str,
    bodies: &[String],
) -> Result<Vec<Value>, String> {
    const CONNECTIONS: usize = 16;
    let mut answers: Vec<Value> = vec![Value::Null; bodies.len()];
    // A signature is good for five minutes; a part of the bodies takes seconds.
    for (part, chunk) in bodies.chunks(10_000).enumerate() {
        let signed = sign(credentials, &subject.plain, operation, chunk)?;
        let mut loops = Vec::new();
        for number in 0..CONNECTIONS {
            let own: Vec<(usize, Bytes)> =
                signed.iter().cloned().enumerate().skip(number).step_by(CONNECTIONS).collect();
            let mut connection = Connection::open(&subject.plain).await?;
            loops.push(tokio::spawn(async move {
                let mut found = Vec::new();
                for (place, request) in own {
                    let (status, body) = connection.call(&request).await?;
                    if status != 200 {
                        return Err(format!("status {status}: {}", String::from_utf8_lossy(body)));
                    }
                    found.push((place, serde_json::from_slice(body).map_err(|error| error.to_string())?));
                }
                Ok(found)
            }));
        }
        for finished in loops {
            for (place, answer) in finished.await.map_err(|error| error.to_string())?? {
                if let Some(slot) = answers.get_mut(part * 10_000 + place) {
                    *slot = answer;
                }
            }
        }
    }
    Ok(answers)
}

/// One measurement: what the load saw, and what the processes used.
pub(crate) struct Measured {
    pub(crate) seen: Seen,
    pub(crate) host_micros: f64,
    pub(crate) hsm_micros: f64,
}

impl Measured {
    pub(crate) fn total(&self) -> f64 {
        self.host_micros + self.hsm_micros
    }
}

/// Runs a load on a thread of its own, after a short one that warms everything up.
pub(crate) async fn measure(
    target: &Target,
    requests: Vec<Bytes>,
    connections: usize,
    window: Duration,
    cpu: impl Fn() -> Cpu,
) -> Result<Measured, String> {
    let warm_up = window.min(WARM_UP);
    let (first, again) = (target.clone(), requests.clone());
    join(move || load::run(&first, &again, connections, warm_up)).await??;
    let before = cpu();
    let target = target.clone();
    let seen = join(move || load::run(&target, &requests, connections, window)).await??;
    let after = cpu();
    #[expect(clippy::cast_precision_loss, reason = "microseconds and counts of a few seconds")]
    let each = |before: u64, after: u64| (after - before) as f64 / seen.carried_out.max(1) as f64;
    Ok(Measured { host_micros: each(before.host, after.host), hsm_micros: each(before.hsm, after.hsm), seen })
}

async fn join<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

/// Length of the body that a request is answered with.
pub(crate) async fn answer_length(target: &Target, request: &Bytes) -> Result<usize, String> {
    let mut connection = Connection::open(target).await?;
    let (_, body) = connection.call(request).await?;
    Ok(body.len())
}

/// The symmetric operations, beside a ceiling with the server's runtime and one with tokio's as it comes.
async fn operations(
    plan: &Plan,
    subject: &Claviger,
    ceilings: [&Ceiling; 2],
    keys: &Keys,
) -> Result<(), String> {
    println!(
        "| operation, {} connections | req/s | p50 us | p99 us | host us | HSM us | ceiling us | ratio | stock ceiling us | ratio |",
        plan.connections
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let transports = [
        ("TLS", &subject.tls, ceilings.map(|ceiling| &ceiling.tls)),
        ("plain", &subject.plain, ceilings.map(|ceiling| &ceiling.plain)),
    ];
    for (name, target, bounds) in transports.into_iter().take(if plan.quick { 1 } else { 2 }) {
        let operations = ["Encrypt", "Decrypt", "GenerateDataKey", "ReEncrypt"];
        for operation in
            operations.into_iter().filter(|name| plan.only.as_deref().is_none_or(|only| only == *name))
        {
            let bodies = keys.bodies(operation, POOL);
            let signed = sign(&subject.credentials, target, operation, &bodies)?;
            let length = answer_length(target, signed.first().ok_or("no request")?).await?;
            let idle: Vec<_> = signed.iter().map(|request| requests::for_ceiling(request, length)).collect();
            let (mut least, mut got) = ([Windows::default(), Windows::default()], Windows::default());
            for _ in 0..ROUNDS {
                for ((least, bound), ceiling) in least.iter_mut().zip(bounds).zip(ceilings) {
                    let idle = idle.clone();
                    least.add(measure(bound, idle, plan.connections, plan.slice(), || ceiling.cpu()).await?);
                }
                let signed = signed.clone();
                got.add(measure(target, signed, plan.connections, plan.slice(), || subject.cpu()).await?);
            }
            let [same, stock] = least.each_ref().map(Windows::cost);
            println!(
                "| {operation}, {name} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {same:.1} | {:.2} | {stock:.1} | {:.2} |",
                got.rate(),
                got.percentile(50),
                got.percentile(99),
                got.median(|window| window.host_micros),
                got.median(|window| window.hsm_micros),
                got.cost() / same,
                got.cost() / stock,
            );
        }
    }
    println!();
    Ok(())
}

async fn one_connection(plan: &Plan, subject: &Claviger, keys: &Keys, fsync: u64) -> Result<(), String> {
    let signed = sign(&subject.credentials, &subject.tls, "Decrypt", &keys.bodies("Decrypt", POOL))?;
    let got = measure(&subject.tls, signed, 1, plan.window, || subject.cpu()).await?;
    let above = i64::from(got.seen.percentile(50)) - i64::try_from(fsync).unwrap_or(i64::MAX);
    println!(
        "Decrypt, TLS, one connection: p50 {} us, p99 {} us; {above} us above the disk's own fdatasync p50\n",
        got.seen.percentile(50),
        got.seen.percentile(99),
    );
    Ok(())
}

/// What the parts that a request must pass cost without the rest.
async fn beside_parts(plan: &Plan, subject: &Claviger, programs: &Path, dir: &Path) -> Result<(), String> {
    let keys = Keys::make(subject, FEW_KEYS).await?;
    let signed = sign(&subject.credentials, &subject.tls, "Encrypt", &keys.bodies("Encrypt", POOL))?;
    parts::run(plan, subject, signed, (programs, dir)).await
}

/// The same load with the fsync and without it, in turn.
async fn durability(plan: &Plan, programs: &Path, dir: &Path) -> Result<(), String> {
    let with = Claviger::start(programs, &dir.join("with"), true)?;
    let without = Claviger::start(programs, &dir.join("without"), false)?;
    let (keys, others) = (Keys::make(&with, FEW_KEYS).await?, Keys::make(&without, FEW_KEYS).await?);
    println!("| Encrypt, TLS | req/s with fsync | without | share | host+HSM us with fsync | without |");
    println!("|---|---|---|---|---|---|");
    for connections in [plan.connections, 4 * plan.connections] {
        let (mut durable, mut bare) = (Windows::default(), Windows::default());
        for _ in 0..ROUNDS {
            for (windows, subject, keys) in [(&mut durable, &with, &keys), (&mut bare, &without, &others)] {
                let bodies = keys.bodies("Encrypt", POOL);
                let signed = sign(&subject.credentials, &subject.tls, "Encrypt", &bodies)?;
                windows
                    .add(measure(&subject.tls, signed, connections, plan.slice(), || subject.cpu()).await?);
            }
        }
        println!(
            "| {connections} connections | {:.0} | {:.0} | {:.0} % | {:.1} | {:.1} |",
            durable.rate(),
            bare.rate(),
            durable.rate() / bare.rate() * 100.0,
            durable.cost(),
            bare.cost(),
        );
    }
    println!("\nThe medians of {ROUNDS} windows of each, in turn\n");
    with.stop()?;
    without.stop()
}

/// What was seen in several windows.
#[derive(Default)]
pub(crate) struct Windows(Vec<Measured>);

impl Windows {
    pub(crate) fn add(&mut self, got: Measured) {
        self.0.push(got);
    }

    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Host and HSM together, in microseconds of a request.
    pub(crate) fn cost(&self) -> f64 {
        self.median(Measured::total)
    }

    /// Host and HSM each, in microseconds of a request.
    pub(crate) fn parts(&self) -> (f64, f64) {
        (self.median(|window| window.host_micros), self.median(|window| window.hsm_micros))
    }

    /// A percentile of the latency, in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        self.median(|window| f64::from(window.seen.percentile(percent)))
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.median(|window| window.seen.per_second())
    }
}

/// An installation beside one that has many more keys: what each needs, and what Decrypt costs each of them.
async fn many_keys(plan: &Plan, programs: &Path, dir: &Path) -> Result<(), String> {
    // As many different requests for both: the load goes through them, and takes the processor's caches with it.
    let mut few = Warm::start(programs, &dir.join("few"), FEW_KEYS, plan.many_keys).await?;
    let mut many = Warm::start(programs, &dir.join("many"), plan.many_keys, plan.many_keys).await?;
    for _ in 0..ROUNDS {
        few.measure(plan).await?;
        many.measure(plan).await?;
    }
    println!("| keys | start to ready ms | host MiB | HSM MiB | Decrypt host+HSM us | req/s |");
    println!("|---|---|---|---|---|---|");
    let (base, cost) = (few.print(), many.print());
    println!(
        "\nDecrypt with {} keys costs {:.2} times what it costs with {}: the medians of {ROUNDS} windows of each, in turn",
        many.keys,
        cost / base,
        few.keys
    );
    few.subject.stop()?;
    many.subject.stop()
}

/// An installation that was started anew, and in which every key has been used since.
struct Warm {
    subject: Claviger,
    keys: usize,
    signed: Vec<Bytes>,
    /// Resident memory of host and HSM before, in KiB.
    idle: (u64, u64),
    windows: Windows,
}

impl Warm {
    async fn start(programs: &Path, data: &Path, keys: usize, requests: usize) -> Result<Self, String> {
        let maker = Claviger::start(programs, data, true)?;
        let keys = Keys::make(&maker, keys).await?;
        maker.stop()?;
        let subject = Claviger::start(programs, data, true)?;
        let (idle, count) = (subject.resident_kib(), keys.ids.len());
        calls(&subject, &subject.credentials, "Decrypt", &keys.bodies("Decrypt", count)).await?;
        let bodies = keys.bodies("Decrypt", requests.max(count));
        let signed = sign(&subject.credentials, &subject.tls, "Decrypt", &bodies)?;
        Ok(Self { subject, keys: count, signed, idle, windows: Windows::default() })
    }

    async fn measure(&mut self, plan: &Plan) -> Result<(), String> {
        let (subject, signed) = (&self.subject, self.signed.clone());
        // The whole length, so that every key comes up.
        let got = measure(&subject.tls, signed, plan.connections, plan.window, || subject.cpu()).await?;
        self.windows.add(got);
        Ok(())
    }

    /// Prints a row; answers what Decrypt costs, in microseconds.
    fn print(&self) -> f64 {
        let (host, hsm) = self.subject.resident_kib();
        let (cost, rate) = (self.windows.cost(), self.windows.rate());
        println!(
            "| {} | {} | {} at start, {} after use | {} at start, {} after use | {cost:.1} | {rate:.0} |",
            self.keys,
            self.subject.start_up.as_millis(),
            self.idle.0 / 1024,
            host / 1024,
            self.idle.1 / 1024,
            hsm / 1024,
        );
        cost
    }
}
