//! Confinement: what this process can no longer do once it serves.
//!
//! Two layers of the kernel: a seccomp list of the system calls that are left, and a Landlock domain in which the
//! only folder is the seal's. Both are data with a reason for each line ([`rules`]). They cannot be undone, and every
//! thread has them: the domain is entered before the first thread is started, so all inherit it; the list is applied
//! to all threads at once, when the workers have set their priorities, for which no call is left after that.
//!
//! A forbidden call answers `EPERM`; it does not kill. Killing would turn a new version of the C library, which may
//! probe for a call, into an outage of every key, while an attacker gains nothing from asking twice. A call of
//! another architecture's table does kill: nothing but an attack makes it.
//!
//! Not covered: the loader runs before any of this, so `LD_PRELOAD` and the like have to be kept out by whoever
//! starts the program (a service manager does; an attacker with that power could start another program as well).

pub(crate) mod check;
pub(crate) mod rules;

use std::collections::BTreeMap;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use self::rules::{Limit, SYSTEM_CALLS};
use crate::Failure;

/// What needs no knowledge of the folders: no core dumps, no attaching by the same user, no new privileges, files
/// private whatever mask was inherited.
///
/// # Errors
/// The operating system's.
pub(crate) fn harden() -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok(())
}

/// Takes all files away but those in `seal_dir`, the only folder that stays in reach.
///
/// # Errors
/// Where the kernel offers no Landlock (Linux 5.13), or more than one thread runs: the HSM does not serve unconfined.
pub(crate) fn restrict_files(seal_dir: &Path) -> Result<(), Failure> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err("threads were started before the confinement".into());
    }
    // Files must be restricted; what newer kernels add (truncation, TCP, signals) is taken where it is.
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(seal_dir)?, rules::seal_folder_access()))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("the kernel does not enforce Landlock, without which the HSM does not serve".into());
    }
    Ok(())
}

/// Takes the system calls away that serving does not need, from all threads.
///
/// # Errors
/// Where the kernel offers no seccomp.
pub(crate) fn filter_calls() -> Result<(), Failure> {
    for filter in filters()? {
        seccompiler::apply_filter_all_threads(&filter)?;
    }
    Ok(())
}

/// The filters in the order in which they are applied. `clone3` passes its flags in memory, where a filter cannot
/// look; it has to answer `ENOSYS`, upon which the C library falls back to `clone`. That takes a filter of its own.
fn filters() -> Result<[BpfProgram; 2], Failure> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let no_clone3 = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(u32::try_from(libc::ENOSYS)?),
        arch,
    )?;
    let mut listed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in SYSTEM_CALLS {
        let chain = listed.entry(call.number).or_default();
        if call.limit != Limit::None {
            chain.push(SeccompRule::new(vec![condition(call.limit)?])?);
        }
    }
    let refuse = SeccompAction::Errno(u32::try_from(libc::EPERM)?);
    let allow_listed = SeccompFilter::new(listed, refuse, SeccompAction::Allow, arch)?;
    Ok([no_clone3.try_into()?, allow_listed.try_into()?])
}

fn condition(limit: Limit) -> Result<SeccompCondition, seccompiler::BackendError> {
    let length = SeccompCmpArgLen::Dword;
    match limit {
        Limit::Is(argument, value) => SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value),
        Limit::Has(argument, bits) => {
            SeccompCondition::new(argument, length, SeccompCmpOp::MaskedEq(bits), bits)
        }
        Limit::Lacks(argument, bits) => {
            SeccompCondition::new(argument, length, SeccompCmpOp::MaskedEq(bits), 0)
        }
        // Not reached: a call without a limit has no condition. The mask of no bits is always met.
        Limit::None => SeccompCondition::new(0, length, SeccompCmpOp::MaskedEq(0), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call listed once without and once with a limit would be allowed only within the limit.
    #[test]
    fn no_call_is_listed_both_with_and_without_a_limit() {
        for call in SYSTEM_CALLS {
            let same = SYSTEM_CALLS.iter().filter(|other| other.number == call.number);
            assert!(same.clone().count() == 1 || same.clone().all(|other| other.limit != Limit::None));
            assert!(call.why.len() > 5);
        }
    }

    #[test]
    fn the_filters_compile_for_this_machine() {
        assert!(filters().unwrap().iter().all(|filter| !filter.is_empty()));
    }
}
