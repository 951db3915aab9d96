//! Puts the program together and takes it apart again: HSM link, store, ledger, threads, listeners.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use claviger_hsm_proto::{Command, HostKeyLabel, Reply, frame};
use claviger_service::attestation::Roots;
use claviger_service::ledger_end::{self, Mismatch};
use claviger_service::schedule::DomainKeys;
use claviger_service::{
    Endpoints, Installation, Regions, Service, ServiceDefinition, Services, Vault, credential, outbox,
    schedule, writeback,
};
use claviger_store::{Embedded, Sealer, Store};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use crate::admin::Door;
use crate::entrance::Entrance;
use crate::hsm_link::Link;
use crate::http::Front;
use crate::ledger::{Durability, Ledger, Options};
use crate::ledger_lane::ServiceLane;
use crate::listen::{self, Threads};
use crate::log::RequestLog;
use crate::metrics::{self, Requests};
use crate::oidc::Https;
use crate::quotas::QuotasConfig;
use crate::security_log::SecurityLog;
use crate::shell::{self, SystemClock, SystemEntropy};
use crate::stop::stopped;
use crate::{files, status};

/// What to run.
pub struct Plan {
    /// Folder of the store, the ledger and the security log.
    pub data_dir: PathBuf,
    /// Socket of the HSM.
    pub hsm_socket: PathBuf,
    /// Regions that are served.
    pub regions: Regions,
    /// Who may vouch for enclaves.
    pub attestation: Roots,
    /// How fast accounts may call, and how much they may have.
    pub quotas: QuotasConfig,
    /// How the HSM's domain key is rotated.
    pub domain_keys: DomainKeys,
    /// The VPC endpoints that requests may come through.
    pub endpoints: Endpoints,
    /// Services that may call on behalf of users.
    pub services: Vec<ServiceDefinition>,
    /// The account that their credentials are sealed for.
    pub account: String,
    /// Fetches from identity providers.
    pub issuers: Arc<Https>,
    /// Threads that carry out requests.
    pub threads: usize,
    /// How often the last uses of keys are written, in seconds.
    pub last_use_seconds: u32,
    /// Whether each source of refused requests is kept to its part of the security log.
    pub shares_security_log: bool,
    /// Length of a ledger segment in bytes.
    pub segment_bytes: u64,
    /// Ledger segments are removed beyond this many bytes; 0 keeps everything.
    pub keep_bytes: u64,
    /// When an event counts as durable.
    pub durability: Durability,
    /// Whether each request gets a line in the log.
    pub log_requests: bool,
    /// Whether a ledger that has lost events is taken as it is.
    pub accepts_lost_events: bool,
}

/// The running program, before it listens.
pub struct Program {
    plan: Plan,
    /// The shared installation.
    pub installation: Arc<Installation>,
    store: Arc<Embedded>,
    ledger: Arc<Ledger>,
    /// The link of the main thread.
    pub link: Link,
    entropy: Arc<SystemEntropy>,
    door: Door,
}

/// Longest wait for the HSM at the start.
const HSM_WAIT: Duration = Duration::from_secs(10);
/// How often the program looks whether the store or the ledger has failed.
const HEALTH_TICK: Duration = Duration::from_millis(200);

impl Program {
    /// Connects to the HSM, opens the store and the ledger, and brings them up to date with each other.
    ///
    /// # Errors
    /// What to tell the operator. Nothing that was there is changed by a refusal.
    pub async fn open(mut plan: Plan) -> Result<Self, String> {
        files::create_private_dir(&plan.data_dir).map_err(|e| format!("{}: {e}", plan.data_dir.display()))?;
        let link = Link::new(plan.hsm_socket.clone());
        tokio::spawn(link.clone().run());
        let greeting = tokio::time::timeout(HSM_WAIT, link.greeting()).await.ok().flatten();
        let greeting = greeting.ok_or_else(|| format!("no HSM answers at {}", plan.hsm_socket.display()))?;
        let sealer = Sealer::new(*records_key(&link).await?).map_err(|error| error.to_string())?;
        let store =
            Embedded::open(&plan.data_dir.join("store.redb"), sealer).map_err(|error| error.to_string())?;
        let store = Arc::new(store);
        let options = Options {
            segment_bytes: plan.segment_bytes,
            keep_bytes: plan.keep_bytes,
            durability: plan.durability,
            ..Options::new(greeting.domain)
        };
        if !holds_anything(&plan.data_dir.join("ledger")) {
            belong_together(&*store, 0, &plan).await?;
        }
        let (ledger, opened) =
            Ledger::open(&plan.data_dir.join("ledger"), options).map_err(|error| error.to_string())?;
        if let Some(torn) = opened.torn {
            tracing::warn!(
                sequence = torn.sequence,
                bytes = torn.bytes,
                "a batch cut off by a crash was taken away"
            );
        }
        belong_together(&*store, ledger.durable_sequence(), &plan).await?;
        let ledger = Arc::new(ledger);
        let entropy = Arc::new(SystemEntropy::default());
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let opened =
            Installation::open(shared, &link, greeting.domain, plan.regions.clone(), shell::now()).await;
        let installation = opened.map_err(|error| error.to_string())?;
        let installation = installation
            .with_attestation(plan.attestation.clone())
            .with_fetcher(Arc::<Https>::clone(&plan.issuers))
            .with_quotas(plan.quotas.read()?)
            .with_domain_keys(plan.domain_keys.clone())
            .with_endpoints(plan.endpoints.clone());
        let installation = Arc::new(with_services(installation, &link, &mut plan).await?);
        let door = Door::bind(&plan.data_dir)?;
        let program = Self { plan, installation, store, ledger, link, entropy, door };
        program.recover().await?;
        Ok(program)
    }

    async fn recover(&self) -> Result<(), String> {
        let (lane, delivery) = self.ledger.lane();
        let delivery = tokio::spawn(delivery);
        let lane = ServiceLane::new(Arc::clone(&self.ledger), lane);
        let recovered = outbox::recover(&self.installation, &lane).await;
        delivery.abort();
        let count =
            recovered.map_err(|error| error.cause.unwrap_or_else(|| "the outbox failed".to_owned()))?;
        if count > 0 {
            tracing::warn!(count, "events of committed changes were brought into the ledger");
        }
        Ok(())
    }

    /// Randomness for ids.
    pub fn entropy(&self) -> &SystemEntropy {
        &self.entropy
    }

    fn service(&self, link: Link) -> (Service, crate::ledger::Delivery) {
        let (lane, delivery) = self.ledger.lane();
        let lane = ServiceLane::new(Arc::clone(&self.ledger), lane);
        let installation = Arc::clone(&self.installation);
        // Each thread has its own source of ids, so that none waits for another.
        let entropy = Arc::new(SystemEntropy::default());
        let service = Service::new(installation, Arc::new(link), Arc::new(lane), entropy);
        (service, delivery)
    }

    /// Serves until `stop` says so, or until the store or the ledger fails.
    ///
    /// # Errors
    /// What failed; the process must end with an error then, and find out at its next start what is on the disk.
    pub async fn serve(self, doors: Doors, stop: watch::Sender<bool>) -> Result<(), String> {
        let security = Arc::new(SecurityLog::new(
            self.plan.data_dir.join("security.log"),
            self.plan.shares_security_log,
        ));
        let log = if self.plan.log_requests {
            RequestLog::to_stderr().map_err(|error| error.to_string())?
        } else {
            RequestLog::off()
        };
        let mut senders = Vec::new();
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for number in 0..self.plan.threads.max(1) {
            let (sender, receiver) = mpsc::unbounded_channel();
            senders.push(sender);
            let link = Link::new(self.plan.hsm_socket.clone());
            let (service, delivery) = self.service(link.clone());
            let (log, security) = (log.lines(), Arc::clone(&security));
            let front = Front { service, log, security, requests: Requests::new() };
            threads.push(thread(number, Arc::new(front), link, delivery, receiver, stop.subscribe())?);
        }
        let shares = Threads::new(senders, shell::descriptors());
        for (listener, entrance) in doors.listeners {
            tokio::spawn(listen::accept(listener, Arc::new(entrance), shares.clone(), stop.subscribe()));
        }
        if let Some(listener) = doors.status {
            tokio::spawn(status::serve(listener, self.link.clone(), Arc::clone(&self.ledger)));
        }
        let (service, delivery) = self.service(self.link.clone());
        tokio::spawn(delivery);
        let service = Arc::new(service);
        let scheduling = Arc::clone(&service);
        let scheduler = tokio::spawn(async move { schedule::run(&scheduling, Arc::new(SystemClock)).await });
        let noting = Arc::clone(&service);
        let every = self.plan.last_use_seconds;
        let uses = tokio::spawn(async move { writeback::run(&noting, Arc::new(SystemClock), every).await });
        let retention = tokio::spawn(retain(Arc::clone(&service), Arc::clone(&self.ledger)));
        let outcome = tokio::select! {
            outcome = self.watch(stop.subscribe()) => outcome,
            never = self.door.serve(&service) => match never {},
        };
        stop.send_replace(true);
        scheduler.abort();
        uses.abort();
        retention.abort();
        drop(shares);
        for thread in threads {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("a thread ended badly");
            }
        }
        if outcome.is_ok()
            && let Err(error) = writeback::write(&service).await
        {
            tracing::error!(cause = error.cause, "what was noted could not be written");
        }
        outcome
    }

    /// Waits until the program is to stop; answers with an error when a part that cannot be retried has failed.
    async fn watch(&self, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        let mut ticks = tokio::time::interval(HEALTH_TICK);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return Ok(()),
                () = self.ledger.failed() => return Err("the audit ledger failed".to_owned()),
                _ = ticks.tick() => {
                    if let Some(cause) = self.store.failed() {
                        return Err(format!("the store failed: {cause}"));
                    }
                    metrics::ledger(self.ledger.durable_sequence());
                    metrics::domain_key(self.installation.domain_key());
                    status::sort_samples();
                }
            }
        }
    }
}

/// Where requests come in. Bound before the program says that it is ready.
#[derive(Default)]
pub struct Doors {
    /// Listeners, and what each knows of its connections.
    pub listeners: Vec<(TcpListener, Entrance)>,
    /// Metrics and health.
    pub status: Option<TcpListener>,
}

/// Binds an address.
///
/// # Errors
/// What to tell the operator.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Starts one thread with a runtime of its own.
fn thread(
    number: usize,
    front: Arc<Front>,
    link: Link,
    delivery: crate::ledger::Delivery,
    door: mpsc::UnboundedReceiver<listen::Accepted>,
    stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let runtime = listen::runtime().map_err(|error| format!("cannot make a runtime: {error}"))?;
    let run = move || {
        runtime.block_on(async move {
            tokio::spawn(link.run());
            tokio::spawn(delivery);
            listen::serve(front, door, stop).await;
        });
    };
    let thread = std::thread::Builder::new().name(format!("serve-{number}")).spawn(run);
    thread.map_err(|error| format!("cannot start a thread: {error}"))
}

/// The installation with the plan's services. An access key stands for a service or for a principal, not for both.
async fn with_services(
    installation: Installation,
    link: &Link,
    plan: &mut Plan,
) -> Result<Installation, String> {
    let definitions = std::mem::take(&mut plan.services);
    for ServiceDefinition { name, access_key_id, .. } in &definitions {
        let taken = credential::is_taken(&installation, access_key_id).await;
        if taken.map_err(|error| error.cause.unwrap_or_default())? {
            return Err(format!("service `{name}`: its access key id is that of a user or root user"));
        }
    }
    Ok(installation.with_services(Services::seal(link, &plan.account, definitions).await?))
}

/// The key that seals the store's records.
async fn records_key(link: &Link) -> Result<Zeroizing<[u8; 32]>, String> {
    let body =
        link.send(&Command::HostKey { label: HostKeyLabel::Records }).await.map_err(|error| error.0)?;
    match frame::read::<Reply<'_>>(&body) {
        Ok(Reply::HostKey { key }) => {
            let key: [u8; 32] =
                key.0.try_into().map_err(|_| "the HSM's host key has a wrong length".to_owned())?;
            Ok(Zeroizing::new(key))
        }
        Ok(other) => Err(format!("the HSM answered {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether there is a folder with something in it.
fn holds_anything(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// A store and a ledger that know of each other start together only; neither is taken for a new one. `last` is the
/// ledger's last event. No ledger is made where this refuses, so that what is missing can be put in its place.
async fn belong_together(store: &dyn Store, last: u64, plan: &Plan) -> Result<(), String> {
    let dir = plan.data_dir.display();
    let failed = |error: claviger_service::Error| format!("{dir}: {}", error.cause.unwrap_or_default());
    match ledger_end::compare(store, last).await.map_err(failed)? {
        None => {
            if plan.accepts_lost_events && last > 0 {
                tracing::warn!("no events are lost; start without --accept-lost-events");
            }
            Ok(())
        }
        Some(mismatch @ Mismatch::Shorter { .. }) if plan.accepts_lost_events => {
            tracing::warn!(%mismatch, "the ledger is taken as it is");
            ledger_end::accept(store, last).await.map_err(failed)
        }
        Some(mismatch @ Mismatch::Shorter { .. }) => Err(format!(
            "{dir}: {mismatch}. Bring the ledger back, or start once with --accept-lost-events to go on without them"
        )),
        Some(mismatch @ Mismatch::NoStore { .. }) => Err(format!("{dir}: {mismatch}, or use another folder")),
    }
}

/// Removes the oldest segments of the ledger beyond what is to be kept, as far as the outbox does not need them; says so
/// in the log first.
async fn retain(service: Arc<Service>, ledger: Arc<Ledger>) {
    let mut current = ledger.current_segment();
    loop {
        let expired = ledger.expired();
        let needed = match expired.is_empty() {
            true => Ok(None),
            false => outbox::needs_from(&service).await,
        };
        let needed = needed.unwrap_or_else(|error| {
            tracing::error!(cause = error.cause, "the outbox cannot be read; the ledger keeps its segments");
            Some(0)
        });
        for segment in expired {
            if needed.is_some_and(|first| first <= segment.last_sequence) {
                break;
            }
            tracing::warn!(
                segment = segment.segment,
                first = segment.first_sequence,
                last = segment.last_sequence,
                "the oldest segment of the ledger is removed"
            );
            let held = Arc::clone(&ledger);
            let removed = tokio::task::spawn_blocking(move || held.remove(segment)).await;
            if !matches!(removed, Ok(Ok(()))) {
                tracing::error!(segment = segment.segment, "a segment of the ledger cannot be removed");
                break;
            }
        }
        if current.changed().await.is_err() {
            return;
        }
    }
}

/// What says that the program is to stop: true once the process is asked to end (SIGTERM or SIGINT). The signals are
/// caught when this returns, so whoever reads that the program is ready may end it at once, and in good order.
///
/// # Errors
/// When the signals cannot be caught.
pub fn stop_when_asked() -> Result<watch::Sender<bool>, String> {
    use tokio::signal::unix::{SignalKind, signal};
    let catch = |kind| signal(kind).map_err(|error| format!("cannot catch signals: {error}"));
    let (mut terminate, mut interrupt) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    let (stop, _) = watch::channel(false);
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.send_replace(true);
    });
    Ok(stop)
}
