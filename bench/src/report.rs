//! What is measured, and the tables that say it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use claviger_server::shell;
use serde_json::Value;

use crate::load::{self, Connection, Seen, Target};
use crate::requests::{self, Credentials};
use crate::subject::{Ceiling, Claviger, Cpu};
use crate::{asymmetric, crypto, machine, principals};

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
    /// Only who calls, beside so many other users.
    pub(crate) by_caller: bool,
    pub(crate) principals: usize,
}

/// Keys of the smaller installation.
const FEW_KEYS: usize = 1_000;
/// Length of what is encrypted, in bytes.
const PLAINTEXT: usize = 64;
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
    let mut subject = Claviger::start(&programs, &data, true)?;
    println!("Start of an empty folder to ready: {} ms\n", subject.start_up.as_millis());
    if plan.by_caller {
        principals::run(plan, &subject).await?;
        return subject.stop();
    }
    let ceiling = Ceiling::start(&dir.path().join("ceiling"))?;
    let keys = Keys::make(&subject, FEW_KEYS, Vec::new()).await?;
    operations(plan, &subject, &ceiling, &keys).await?;
    if plan.quick && !plan.asymmetric {
        return subject.stop();
    }
    if !plan.quick {
        one_connection(plan, &subject, &keys, fsync).await?;
        subject = durability(plan, &programs, &data, subject, &keys).await?;
    }
    let others = asymmetric::run(plan, &subject).await? + 1;
    let decrypts = sign(&subject.credentials, &subject.tls, "Decrypt", &keys.bodies("Decrypt", POOL))?;
    asymmetric::stalls(plan, &subject, decrypts).await?;
    if plan.quick {
        return subject.stop();
    }
    many_keys(plan, &programs, &data, subject, keys, others).await
}

/// Keys, and a blob of each.
pub(crate) struct Keys {
    pub(crate) ids: Vec<String>,
    blobs: Vec<String>,
}

impl Keys {
    /// Makes keys until there are so many, and encrypts under each.
    pub(crate) async fn make(subject: &Claviger, count: usize, mut ids: Vec<String>) -> Result<Self, String> {
        let missing = count.saturating_sub(ids.len());
        let bodies = vec!["{}".to_owned(); missing];
        let made = calls(subject, "CreateKey", &bodies).await?;
        ids.extend(made.iter().map(|answer| text(answer.pointer("/KeyMetadata/KeyId"))));
        let plaintext = base64_simd::STANDARD.encode_to_string([7; PLAINTEXT]);
        let body = |id: &String| format!(r#"{{"KeyId":"{id}","Plaintext":"{plaintext}"}}"#);
        let bodies: Vec<String> = ids.iter().map(body).collect();
        let encrypted = calls(subject, "Encrypt", &bodies).await?;
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
    operation: &str,
    bodies: &[String],
) -> Result<Vec<Value>, String> {
    const CONNECTIONS: usize = 16;
    let mut answers: Vec<Value> = vec![Value::Null; bodies.len()];
    // A signature is good for five minutes; a part of the bodies takes seconds.
    for (part, chunk) in bodies.chunks(10_000).enumerate() {
        let signed = sign(&subject.credentials, &subject.plain, operation, chunk)?;
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
    let warm_up = window.min(Duration::from_secs(1));
    let (first, again) = (target.clone(), requests.clone());
    join(move || load::run(&first, &again, connections, warm_up)).await??;
    let before = cpu();
    let target = target.clone();
    let seen = join(move || load::run(&target, &requests, connections, window)).await??;
    let after = cpu();
    #[expect(clippy::cast_precision_loss, reason = "microseconds and counts of a few seconds")]
    let each = |before: u64, after: u64| (after - before) as f64 / seen.requests.max(1) as f64;
    Ok(Measured { host_micros: each(before.host, after.host), hsm_micros: each(before.hsm, after.hsm), seen })
}

async fn join<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

/// Length of the body that a request is answered with.
async fn answer_length(target: &Target, request: &Bytes) -> Result<usize, String> {
    let mut connection = Connection::open(target).await?;
    let (_, body) = connection.call(request).await?;
    Ok(body.len())
}

async fn operations(plan: &Plan, subject: &Claviger, ceiling: &Ceiling, keys: &Keys) -> Result<(), String> {
    println!(
        "| operation, {} connections | req/s | p50 us | p99 us | host us | HSM us | ceiling us | ratio |",
        plan.connections
    );
    println!("|---|---|---|---|---|---|---|---|");
    let transports = [("TLS", &subject.tls, &ceiling.tls), ("plain", &subject.plain, &ceiling.plain)];
    for (name, target, bound) in transports.into_iter().take(if plan.quick { 1 } else { 2 }) {
        let operations = ["Encrypt", "Decrypt", "GenerateDataKey", "ReEncrypt"];
        for operation in
            operations.into_iter().filter(|name| plan.only.as_deref().is_none_or(|only| only == *name))
        {
            let bodies = keys.bodies(operation, POOL);
            let signed = sign(&subject.credentials, target, operation, &bodies)?;
            let length = answer_length(target, signed.first().ok_or("no request")?).await?;
            let idle = signed.iter().map(|request| requests::for_ceiling(request, length)).collect();
            let least = measure(bound, idle, plan.connections, plan.window, || ceiling.cpu()).await?;
            let got = measure(target, signed, plan.connections, plan.window, || subject.cpu()).await?;
            println!(
                "| {operation}, {name} | {:.0} | {} | {} | {:.1} | {:.1} | {:.1} | {:.2} |",
                got.seen.per_second(),
                got.seen.percentile(50),
                got.seen.percentile(99),
                got.host_micros,
                got.hsm_micros,
                least.total(),
                got.total() / least.total(),
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

/// The same load with the fsync and without it. Answers the server with the fsync on again.
async fn durability(
    plan: &Plan,
    programs: &Path,
    data: &Path,
    subject: Claviger,
    keys: &Keys,
) -> Result<Claviger, String> {
    println!("| Encrypt, TLS | req/s with fsync | without | share | host+HSM us with fsync | without |");
    println!("|---|---|---|---|---|---|");
    let mut rates = Vec::new();
    let mut running = subject;
    for fsync in [true, false] {
        running.stop()?;
        running = Claviger::start(programs, data, fsync)?;
        for connections in [plan.connections, 4 * plan.connections] {
            let signed = sign(&running.credentials, &running.tls, "Encrypt", &keys.bodies("Encrypt", POOL))?;
            let got = measure(&running.tls, signed, connections, plan.window, || running.cpu()).await?;
            rates.push((connections, got.seen.per_second(), got.total()));
        }
    }
    let (with, without) = rates.split_at(rates.len() / 2);
    for ((connections, with, cost), (_, without, bare)) in with.iter().zip(without) {
        println!(
            "| {connections} connections | {with:.0} | {without:.0} | {:.0} % | {cost:.1} | {bare:.1} |",
            with / without * 100.0
        );
    }
    println!();
    running.stop()?;
    Claviger::start(programs, data, true)
}

async fn many_keys(
    plan: &Plan,
    programs: &Path,
    data: &Path,
    subject: Claviger,
    keys: Keys,
    others: usize,
) -> Result<(), String> {
    println!("| keys | start to ready ms | host MiB | HSM MiB | Decrypt host+HSM us | req/s |");
    println!("|---|---|---|---|---|---|");
    let few = row(plan, programs, data, subject, &keys).await?;
    // Those of the other measurements count too: an account has no more.
    let keys = Keys::make(&few.0, plan.many_keys.saturating_sub(others), keys.ids).await?;
    let many = row(plan, programs, data, few.0, &keys).await?;
    println!(
        "\nDecrypt with {} keys costs {:.2} times what it costs with {FEW_KEYS}",
        keys.ids.len(),
        many.1 / few.1
    );
    many.0.stop()
}

/// Starts again, decrypts one blob of every key in turn, and prints a row.
async fn row(
    plan: &Plan,
    programs: &Path,
    data: &Path,
    running: Claviger,
    keys: &Keys,
) -> Result<(Claviger, f64), String> {
    running.stop()?;
    let subject = Claviger::start(programs, data, true)?;
    let (host_idle, hsm_idle) = subject.resident_kib();
    let count = keys.ids.len();
    // Once round, so that every key has been used.
    calls(&subject, "Decrypt", &keys.bodies("Decrypt", count)).await?;
    let signed = sign(&subject.credentials, &subject.tls, "Decrypt", &keys.bodies("Decrypt", count))?;
    let got = measure(&subject.tls, signed, plan.connections, plan.window, || subject.cpu()).await?;
    let (host, hsm) = subject.resident_kib();
    println!(
        "| {count} | {} | {} at start, {} after use | {} at start, {} after use | {:.1} | {:.0} |",
        subject.start_up.as_millis(),
        host_idle / 1024,
        host / 1024,
        hsm_idle / 1024,
        hsm / 1024,
        got.total(),
        got.seen.per_second(),
    );
    Ok((subject, got.total()))
}
