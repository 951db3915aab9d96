//! `claviger serve`: what a configuration file says.

use std::path::Path;
use std::sync::Arc;

use claviger_service::credential::{self, Imported};
use claviger_service::schedule::{self, DomainKeys};
use claviger_service::{Regions, writeback};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::ledger::Durability;
use crate::program::{self, Doors, Plan, Program};
use crate::secrets::{self, Given};
use crate::shell::say;
use crate::{files, shell, tls};

/// Runs until the process is asked to end.
///
/// # Errors
/// What to tell the operator.
pub async fn run(config: Config, accepts_lost_events: bool) -> Result<(), String> {
    let given = given(&config)?;
    if let Some(given) = &given
        && config.is_exposed()
    {
        secrets::check_strength("the root secret", &given.secret_access_key)?;
    }
    if let Some(given) = &given
        && config.services.iter().any(|service| service.access_key_id == given.access_key_id)
    {
        return Err("the root user and a service have the same access key id".to_owned());
    }
    let doors = doors(&config).await?;
    let program = Program::open(Plan { accepts_lost_events, ..plan(&config)? }).await?;
    root(&program, &config, given).await?;
    let stop = program::stop_when_asked()?;
    announce(&config);
    program.serve(doors, stop).await
}

fn plan(config: &Config) -> Result<Plan, String> {
    Ok(Plan {
        data_dir: config.data_dir.clone(),
        hsm_socket: config.hsm.socket.clone(),
        regions: Regions::Only(config.regions.clone()),
        attestation: config.attestation.read()?,
        quotas: config.quotas.clone(),
        domain_keys: domain_keys(config),
        endpoints: config.endpoints()?,
        services: config.services()?,
        account: config.account.clone(),
        issuers: Arc::new(config.oidc.read()?),
        threads: config.threads.unwrap_or_else(cores),
        last_use_seconds: config.last_use_seconds.unwrap_or(writeback::WRITE_SECONDS),
        shares_security_log: true,
        segment_bytes: config.audit.segment_bytes,
        keep_bytes: config.audit.keep_bytes,
        durability: Durability::Fsync,
        log_requests: config.log.requests,
        accepts_lost_events: false,
    })
}

/// Domain keys are told of in the trail of the first account and Region.
fn domain_keys(config: &Config) -> DomainKeys {
    let days = config.hsm.domain_key_days.unwrap_or(schedule::PERIOD_DAYS);
    DomainKeys {
        period_days: (days > 0).then_some(days),
        account: config.account.clone(),
        region: config.regions.first().cloned().unwrap_or_default(),
    }
}

/// How many threads can run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn doors(config: &Config) -> Result<Doors, String> {
    let mut doors = Doors::default();
    let endpoints = config.endpoints()?;
    for listener in &config.listeners {
        let tls = match &listener.tls {
            Some(tls) => Some(tls::server_config(&tls.certificate, &tls.key, tls.post_quantum)?),
            None => None,
        };
        let entrance = listener.entrance(tls, &endpoints)?;
        doors.listeners.push((program::bind(listener.address).await?, entrance));
    }
    if let Some(metrics) = &config.metrics {
        doors.status = Some(program::bind(metrics.address).await?);
    }
    Ok(doors)
}

/// The credential that the file or the environment gives.
fn given(config: &Config) -> Result<Option<Given>, String> {
    match (&config.root.access_key_id, &config.root.secret_access_key_file) {
        (Some(id), Some(file)) => {
            Ok(Some(Given { access_key_id: id.clone(), secret_access_key: secrets::from_file(file)? }))
        }
        (None, None) => secrets::from_environment(),
        _ => Err("`root.access_key_id` and `root.secret_access_key_file` go together".to_owned()),
    }
}

/// Makes sure that there is a root credential, or was: where the operator has none any more, that is meant.
async fn root(program: &Program, config: &Config, given: Option<Given>) -> Result<(), String> {
    let (now, account) = (shell::now(), &config.account);
    if let Some(given) = given {
        if secrets::import(program, account, &given, now).await? == Imported::Deleted {
            tracing::warn!(
                access_key_id = given.access_key_id,
                "the root user's access key of the configuration was deleted and stays so; configure another or none"
            );
        }
        return Ok(());
    }
    let had = credential::had_root(&program.installation, account).await;
    if had.map_err(|error| error.cause.unwrap_or_default())? {
        return Ok(());
    }
    let file = config.data_dir.join("root-credentials");
    let write =
        |made: &_| write_credentials(&file, made).map_err(|error| format!("{}: {error}", file.display()));
    let (installation, link) = (&program.installation, &program.link);
    let made = credential::create_root(installation, link, program.entropy(), (account, now), write).await;
    made.map_err(|error| format!("cannot make credentials: {}", error.cause.unwrap_or_default()))?;
    tracing::warn!(file = %file.display(), "root credentials were made; move them to a safe place");
    Ok(())
}

fn write_credentials(file: &Path, made: &credential::NewCredential) -> std::io::Result<()> {
    let text = Zeroizing::new(format!(
        "[claviger]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        made.access_key_id,
        made.secret_access_key.as_str()
    ));
    files::write_private(file, text.as_bytes())
}

fn announce(config: &Config) {
    let addresses = config.listeners.iter().map(|listener| {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", listener.address)
    });
    say(&format!("ready {}\n", addresses.collect::<Vec<_>>().join(" ")));
}
