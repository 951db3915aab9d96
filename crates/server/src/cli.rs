//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use claviger_service::writeback;

/// A key management service that speaks the AWS KMS API, on your own machines.
#[derive(Debug, Parser)]
#[command(name = "claviger", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve from one folder, on loopback, with everything made at the first start.
    Dev(Dev),
    /// Serve what a configuration file says.
    Serve(Serve),
    /// Read and check the audit ledger.
    Audit {
        /// What to do with it.
        #[command(subcommand)]
        command: Audit,
    },
    /// Make, show and close accounts of a server that runs.
    Account(Account),
    /// Say why a past request was answered as it was.
    Explain(Explain),
}

/// Options of `dev`.
#[derive(Debug, Clone, Args)]
pub struct Dev {
    /// Folder that holds everything.
    #[arg(long, value_name = "DIR", default_value = "claviger-data")]
    pub data_dir: PathBuf,
    /// Address for plain HTTP. TLS is on the next port, metrics on the one after.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    pub listen: SocketAddr,
    /// Account, twelve digits.
    #[arg(long, value_name = "ID", default_value = "111122223333")]
    pub account: String,
    /// Region to serve; may be given more than once, and the profile names the first. When absent, every Region is
    /// served and the profile names us-east-1.
    #[arg(long = "region", value_name = "NAME")]
    pub regions: Vec<String>,
    /// Threads that carry out requests.
    #[arg(long, value_name = "N", default_value_t = crate::serve::cores())]
    pub threads: usize,
    /// How often what is noted in memory is written (last uses of keys, how far the ledger is), in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = writeback::WRITE_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub last_use_seconds: u32,
    /// Write no line for each request.
    #[arg(long)]
    pub no_request_log: bool,
    /// File with a root certificate (PEM) that is trusted for attestation documents, in place of AWS's. Can be repeated.
    #[arg(long = "attestation-root", value_name = "FILE")]
    pub attestation_roots: Vec<PathBuf>,
    /// File with certificates of authorities (PEM) that are trusted for the servers of identity providers, beside the
    /// machine's. Can be repeated.
    #[arg(long = "oidc-ca", value_name = "FILE")]
    pub oidc_authorities: Vec<PathBuf>,
    /// The HSM program; the one beside this program when absent.
    #[arg(long, value_name = "PATH")]
    pub hsm_program: Option<PathBuf>,
    /// Start although the audit ledger has lost its last events, and go on without them.
    #[arg(long)]
    pub accept_lost_events: bool,
    /// Do not wait for the disk. Events can be lost with the power.
    #[arg(long, hide = true)]
    pub no_fsync_for_benchmark_only: bool,
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the file and end.
    #[arg(long)]
    pub check_config: bool,
    /// Start although the audit ledger has lost its last events, and go on without them.
    #[arg(long)]
    pub accept_lost_events: bool,
}

/// Options of `account`.
#[derive(Debug, Clone, Args)]
pub struct Account {
    /// What to do.
    #[command(subcommand)]
    pub command: AccountCommand,
    /// Data folder: the one given to `dev`, or `data_dir` of the configuration.
    #[arg(long, global = true, value_name = "DIR", default_value = "claviger-data")]
    pub data_dir: PathBuf,
    /// Configuration file of `serve`, which names the data folder; goes before `--data-dir`.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For machines: one line of JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Make an account, with an access key of its root user, which is shown this once.
    Create {
        /// What to call it, 1 to 50 characters.
        #[arg(long)]
        name: String,
        /// Twelve digits; random when absent.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Write the access key to this new file, mode 0600, instead of printing it.
        #[arg(long, value_name = "FILE")]
        credentials_file: Option<PathBuf>,
    },
    /// Show all accounts.
    List,
    /// Show one account.
    Show {
        /// Its id.
        id: String,
    },
    /// Close an account: its credentials stop at once, its keys are kept.
    Close {
        /// Its id.
        id: String,
    },
    /// Open a closed account again.
    Reopen {
        /// Its id.
        id: String,
    },
    /// Access keys of the root user.
    RootKey {
        /// What to do.
        #[command(subcommand)]
        command: RootKey,
    },
}

/// What to do with access keys of a root user.
#[derive(Debug, Clone, Subcommand)]
pub enum RootKey {
    /// Make one; it is shown this once.
    Create {
        /// Id of the account.
        id: String,
        /// Write the access key to this new file, mode 0600, instead of printing it.
        #[arg(long, value_name = "FILE")]
        credentials_file: Option<PathBuf>,
    },
    /// Delete one: it stops at once.
    Delete {
        /// Id of the account.
        id: String,
        /// Which.
        access_key_id: String,
    },
}

/// Options of `explain`.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// Id of the event, `eventID`.
    #[arg(long, value_name = "ID", required_unless_present = "request", conflicts_with = "request")]
    pub event: Option<String>,
    /// Id of the request, `x-amzn-RequestId` of its answer.
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Data folder: the one given to `dev`, or `data_dir` of the configuration.
    #[arg(
        long,
        value_name = "DIR",
        alias = "data",
        default_value = "claviger-data",
        conflicts_with = "config"
    )]
    pub data_dir: PathBuf,
    /// Configuration file of `serve`, which names the data folder.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For machines: one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the audit ledger.
#[derive(Debug, Clone, Subcommand)]
pub enum Audit {
    /// Check the whole chain; name the first bad record.
    Verify(LedgerDir),
    /// Print events as JSON, one a line.
    Show {
        /// The ledger.
        #[command(flatten)]
        ledger: LedgerDir,
        /// First sequence number.
        #[arg(long, default_value_t = 1)]
        from: u64,
    },
}

/// Where the ledger is.
#[derive(Debug, Clone, Args)]
pub struct LedgerDir {
    /// Data folder: the one given to `dev`, or `data_dir` of the configuration.
    #[arg(long, value_name = "DIR", default_value = "claviger-data")]
    pub data_dir: PathBuf,
}
