//! `claviger dev`: everything from nothing, on loopback, in one folder.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claviger_service::attestation::Roots;
use claviger_service::credential::{self, Imported};
use claviger_service::schedule::{DomainKeys, PERIOD_DAYS};
use claviger_service::{Endpoints, Regions};
use claviger_wire::arn;
use tokio::net::TcpListener;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::certificate::{self, Paths};
use crate::cli::Dev;
use crate::entrance::Entrance;
use crate::hsm_process::HsmProgram;
use crate::ledger::{DEFAULT_SEGMENT_LEN, Durability};
use crate::oidc::{Https, Reach};
use crate::program::{self, Doors, Plan, Program};
use crate::quotas::QuotasConfig;
use crate::secrets::{self, Given};
use crate::shell::say;
use crate::tls::{self, PostQuantum};
use crate::{attestation, config, files, shell};

/// The ledger of a development folder is kept to this many bytes.
const KEEP_BYTES: u64 = 16 * DEFAULT_SEGMENT_LEN;

/// Region of the profile when none is named.
const DEFAULT_REGION: &str = "us-east-1";

/// Runs until the process is asked to end.
///
/// # Errors
/// What to tell the operator.
pub async fn run(options: Dev) -> Result<(), String> {
    check(&options)?;
    let attestation = attestation_roots(&options)?;
    // Who tries things out has the issuer on the same machine.
    let reach = Reach { loopback: true, private_networks: false };
    let issuers = Https::new(&options.oidc_authorities, reach)?;
    let dir = &options.data_dir;
    files::create_private_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let dir = std::fs::canonicalize(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let certificates = certificate::ensure(&dir.join("tls"), shell::now())?;
    let doors = doors(&options, &certificates).await?;
    let hsm = hsm_program(&dir, options.hsm_program.clone())?;
    let child = hsm.start(is_new(&dir)?).await?;
    // The HSM ends after everything else: requests in flight need it.
    let (end_hsm, ended) = watch::channel(false);
    let supervisor = tokio::spawn(hsm.clone().supervise(child, ended));
    let outcome = serve(&options, &dir, &certificates, hsm.socket, (attestation, issuers), doors).await;
    end_hsm.send_replace(true);
    let _ = supervisor.await;
    outcome
}

async fn serve(
    options: &Dev,
    dir: &Path,
    certificates: &Paths,
    hsm_socket: PathBuf,
    (attestation, issuers): (Roots, Https),
    doors: Doors,
) -> Result<(), String> {
    let program = Program::open(Plan {
        data_dir: dir.join("data"),
        hsm_socket,
        regions: regions(options),
        attestation,
        quotas: QuotasConfig::default(),
        domain_keys: DomainKeys {
            period_days: Some(PERIOD_DAYS),
            account: options.account.clone(),
            region: profile_region(options).to_owned(),
        },
        endpoints: Endpoints::default(),
        services: Vec::new(),
        account: options.account.clone(),
        issuers: Arc::new(issuers),
        threads: options.threads,
        last_use_seconds: options.last_use_seconds,
        shares_security_log: false,
        segment_bytes: DEFAULT_SEGMENT_LEN,
        keep_bytes: KEEP_BYTES,
        durability: if options.no_fsync_for_benchmark_only {
            Durability::NoFsyncForBenchmarkOnly
        } else {
            Durability::Fsync
        },
        log_requests: !options.no_request_log,
        accepts_lost_events: options.accept_lost_events,
    })
    .await?;
    let given = credentials(&program, options, dir).await?;
    let aws = dir.join("aws");
    write_profile(&aws, options, certificates, &given)
        .map_err(|error| format!("{}: {error}", aws.display()))?;
    let stop = program::stop_when_asked()?;
    announce(options, dir, certificates);
    program.serve(doors, stop).await
}

fn check(options: &Dev) -> Result<(), String> {
    if config::is_exposed(options.listen.ip()) {
        return Err(format!("`dev` listens on loopback addresses only, not on {}", options.listen.ip()));
    }
    if !arn::is_account(&options.account) {
        return Err("`--account` must be twelve digits".to_owned());
    }
    match options.regions.iter().find(|region| !arn::is_region(region)) {
        Some(region) => Err(format!("`--region`: `{region}` is not a Region name")),
        None => config::check_partition(&options.regions).map_err(|cause| format!("`--region`: {cause}")),
    }
}

/// The Regions that are served: those that were named, or every one that a credential names.
fn regions(options: &Dev) -> Regions {
    if options.regions.is_empty() { Regions::Any } else { Regions::Only(options.regions.clone()) }
}

/// The Region of the profile.
fn profile_region(options: &Dev) -> &str {
    options.regions.first().map_or(DEFAULT_REGION, String::as_str)
}

/// The roots that the options name, or AWS's.
fn attestation_roots(options: &Dev) -> Result<Roots, String> {
    let files = options.attestation_roots.as_slice();
    attestation::roots((!files.is_empty()).then_some(files), None)
}

/// A folder is new when it holds neither a seal nor a store. A store without its seal is never taken for a new one.
fn is_new(dir: &Path) -> Result<bool, String> {
    let seal = std::fs::read_dir(dir.join("seal")).is_ok_and(|mut entries| entries.next().is_some());
    let store = dir.join("data/store.redb").exists();
    match (seal, store) {
        (false, true) => Err(format!(
            "{} holds a store but no seal: without the seal its keys cannot be opened; bring the seal back, or use \
             another folder",
            dir.display()
        )),
        (seal, _) => Ok(!seal),
    }
}

fn hsm_program(dir: &Path, program: Option<PathBuf>) -> Result<HsmProgram, String> {
    let seal_dir = dir.join("seal");
    files::create_private_dir(&seal_dir).map_err(|error| format!("{}: {error}", seal_dir.display()))?;
    let program = match program {
        Some(program) => program,
        None => HsmProgram::beside_this().map_err(|error| error.to_string())?,
    };
    Ok(HsmProgram { program, socket: dir.join("hsm.sock"), seal_dir })
}

async fn doors(options: &Dev, certificates: &Paths) -> Result<Doors, String> {
    let tls = tls::server_config(&certificates.certificate, &certificates.key, PostQuantum::Prefer)?;
    let plain = program::bind(options.listen).await?;
    let secure = next_port(options.listen, 1).await?;
    let status = next_port(options.listen, 2).await?;
    let (plain, secure) = ((plain, Entrance::new(None)), (secure, Entrance::new(Some(tls))));
    Ok(Doors { listeners: vec![plain, secure], status: Some(status) })
}

async fn next_port(address: SocketAddr, offset: u16) -> Result<TcpListener, String> {
    let port = address.port().checked_add(offset).ok_or_else(|| "the port is too high".to_owned())?;
    program::bind(SocketAddr::new(address.ip(), port)).await
}

/// The root credentials: the environment's, or those of an earlier start, or new ones.
async fn credentials(program: &Program, options: &Dev, dir: &Path) -> Result<Given, String> {
    let now = shell::now();
    if let Some(given) = secrets::from_environment()? {
        return match secrets::import(program, &options.account, &given, now).await? {
            Imported::Taken => Ok(given),
            Imported::Deleted => {
                Err(format!("the access key {} was deleted; give another", given.access_key_id))
            }
        };
    }
    if let Some(given) = written_before(&dir.join("aws/credentials")) {
        let known = credential::exists(&program.installation, &options.account, &given.access_key_id).await;
        if known.map_err(|error| error.cause.unwrap_or_default())? {
            return Ok(given);
        }
    }
    let (installation, link, account) = (&program.installation, &program.link, &*options.account);
    // The profile is written at each start, and where it does not fit the next start makes another.
    let made =
        credential::create_root(installation, link, program.entropy(), (account, now), |_| Ok(())).await;
    let made =
        made.map_err(|error| format!("cannot make credentials: {}", error.cause.unwrap_or_default()))?;
    Ok(Given { access_key_id: made.access_key_id, secret_access_key: made.secret_access_key })
}

/// The credential of a file that [`write_profile`] wrote.
fn written_before(path: &Path) -> Option<Given> {
    let text = Zeroizing::new(std::fs::read_to_string(path).ok()?);
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        line.map(|value| value.trim().to_owned())
    };
    Some(Given {
        access_key_id: value("aws_access_key_id")?,
        secret_access_key: Zeroizing::new(value("aws_secret_access_key")?),
    })
}

/// Writes `config` and `credentials` of the AWS SDKs, with a profile `claviger`.
fn write_profile(dir: &Path, options: &Dev, certificates: &Paths, given: &Given) -> std::io::Result<()> {
    files::create_private_dir(dir)?;
    let (address, region) = (options.listen, profile_region(options));
    let ca = certificates.ca.display();
    let config = format!(
        "[profile claviger]\nregion = {region}\noutput = json\nendpoint_url = http://{address}\nca_bundle = {ca}\n"
    );
    files::write_private(&dir.join("config"), config.as_bytes())?;
    let credentials = Zeroizing::new(format!(
        "[claviger]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        given.access_key_id,
        given.secret_access_key.as_str()
    ));
    files::write_private(&dir.join("credentials"), credentials.as_bytes())
}

/// Prints the line that says that requests are served, and an example to copy.
fn announce(options: &Dev, dir: &Path, certificates: &Paths) {
    let address = options.listen;
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let (tls, status) = (address.port() + 1, address.port() + 2);
    let aws = dir.join("aws");
    let aws = aws.display();
    say(&format!(
        "ready http://{address}

  TLS      https://{ip}:{tls}   (trust {ca})
  metrics  http://{ip}:{status}/metrics

Copy and paste:

  export AWS_CONFIG_FILE={aws}/config AWS_SHARED_CREDENTIALS_FILE={aws}/credentials AWS_PROFILE=claviger
  KEY=$(aws kms create-key --query KeyMetadata.KeyId --output text)
  printf 'hello\\n' > hello.txt
  aws kms encrypt --key-id $KEY --plaintext fileb://hello.txt --query CiphertextBlob --output text | base64 -d > hello.enc
  aws kms decrypt --ciphertext-blob fileb://hello.enc --query Plaintext --output text | base64 -d
",
        ca = certificates.ca.display(),
    ));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(words: &[&str]) -> Dev {
        match Cli::parse_from(["claviger", "dev"].iter().chain(words)).command {
            Command::Dev(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn check_served(words: &[&str], profile: &str, served: &[&str], refused: &[&str]) {
        let options = options(words);
        check(&options).unwrap();
        assert_eq!(profile_region(&options), profile);
        let regions = regions(&options);
        assert!(served.iter().all(|region| regions.serve(region)), "{words:?}");
        assert!(!refused.iter().any(|region| regions.serve(region)), "{words:?}");
    }

    #[test]
    fn the_regions_that_are_named_are_served() {
        check_served(&[], "us-east-1", &["us-east-1", "eu-west-1", "cn-north-1"], &["Europe"]);
        check_served(&["--region", "eu-west-1"], "eu-west-1", &["eu-west-1"], &["us-east-1", "eu-west-2"]);
        let two = ["--region", "eu-west-1", "--region", "us-east-1"];
        check_served(&two, "eu-west-1", &["eu-west-1", "us-east-1"], &["us-west-2"]);
        let wrong = options(&["--region", "eu-west-1", "--region", "Europe"]);
        assert_eq!(check(&wrong), Err("`--region`: `Europe` is not a Region name".to_owned()));
        let mixed = options(&["--region", "eu-west-1", "--region", "cn-north-1"]);
        let cause = "`--region`: `cn-north-1` is of another partition than `eu-west-1`";
        assert_eq!(check(&mixed), Err(cause.to_owned()));
    }
}
