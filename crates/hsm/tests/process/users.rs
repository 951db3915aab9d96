//! What other users, and other processes of the same user, can do to the program. Only root can become somebody else.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command as Process, Output};

use claviger_hsm::DEFAULT_CACHE_LEN;
use claviger_hsm_proto::{Command, VERSION, frame};

use crate::harness::Home;

/// A user that owns nothing (`nobody`).
const NOBODY: u32 = 65534;

fn check_is_root() {
    assert!(rustix::process::geteuid().is_root(), "this test becomes another user: run it as root");
}

/// Runs a script as nobody.
fn as_nobody(script: &str, path: &Path, argument: &str) -> Output {
    let script =
        format!("import os,socket,subprocess,sys\nos.setgid({NOBODY})\nos.setuid({NOBODY})\n{script}");
    Process::new("python3").args(["-c", &script]).arg(path).arg(argument).output().unwrap()
}

/// Attack J3.
#[test]
fn other_users_are_refused_by_the_peer_check() {
    const CONNECT: &str = "s=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(1))";
    let home = Home::new();
    let hsm = home.start();
    assert_eq!(std::fs::metadata(home.socket()).unwrap().mode() & 0o777, 0o600);
    check_is_root();
    // Open the way to the socket, so that only the check of the peer is left to refuse.
    std::fs::set_permissions(home.dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    std::fs::set_permissions(home.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let output = as_nobody(CONNECT, &home.socket(), "");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        stdout == "b''\n" || stderr.contains("BrokenPipe") || stderr.contains("ConnectionReset"),
        "{stderr}"
    );
    let log = hsm.stop();
    assert!(log.contains("\"reason\":\"user\",\"uid\":\"65534\""), "{log}");
}

#[test]
fn a_user_who_is_named_is_admitted() {
    const GREET: &str = "s=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
        s.sendall(bytes.fromhex(sys.argv[2]))\nsys.exit(len(s.recv(100))==0)";
    check_is_root();
    let home = Home::new();
    let hsm = home.start_with(&["--allow-uid", &NOBODY.to_string()]);
    std::fs::set_permissions(home.dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let mut hello = Vec::new();
    frame::write(&mut hello, 1, &Command::Hello { version: VERSION }).unwrap();
    let hello: String = hello.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = as_nobody(GREET, &home.socket(), &hello);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(hsm);
}

/// Attacks J7 and J10: not dumpable, so the kernel gives its `/proc` files to root; no new privileges; filtered. It runs
/// as nobody here: of a process of root's, root owns these files in any case.
#[test]
fn the_process_cannot_be_looked_into() {
    check_is_root();
    let home = Home::new();
    let hsm = home.start_as(NOBODY);
    let proc = format!("/proc/{}", hsm.child.id());
    let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
    for line in ["Uid:\t65534\t65534", "NoNewPrivs:\t1", "Seccomp:\t2", "Seccomp_filters:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(std::fs::metadata(format!("{proc}/environ")).unwrap().uid(), 0);
    check_looks(&proc);
    check_left_out_of_dumps(&proc);
}

/// Another process of the same user looks into a child of its own, but not into this one.
fn check_looks(proc: &str) {
    // The child has answered, so it is past its start.
    const LOOK: &str = "child=subprocess.Popen(['cat'],stdin=-1,stdout=-1,bufsize=0)\n\
        child.stdin.write(b'x')\nchild.stdout.read(1)\n\
        for proc in f'/proc/{child.pid}',sys.argv[1]:\n \
        for name,mode in ('environ','rb'),('maps','rb'),('mem','rb'),('mem','r+b'):\n  \
        try: open(f'{proc}/{name}',mode).close(); print('open')\n  \
        except PermissionError: print('refused')\n";
    let output = as_nobody(LOOK, Path::new(proc), "");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "open\n".repeat(4) + &"refused\n".repeat(4), "{stderr}");
}

/// The one mapping that is locked and as long as the keys need is the arena's, and stays out of core files.
fn check_left_out_of_dumps(proc: &str) {
    let smaps = std::fs::read_to_string(format!("{proc}/smaps")).unwrap();
    let mut size = 0;
    let mut arenas = Vec::new();
    for line in smaps.lines() {
        if let Some(kib) = line.strip_prefix("Size:") {
            size = kib.trim_end_matches("kB").trim().parse::<usize>().unwrap();
        }
        if let Some(flags) = line.strip_prefix("VmFlags:").filter(|flags| flags.contains(" lo"))
            && size * 1024 >= DEFAULT_CACHE_LEN * 32
        {
            arenas.push(flags);
        }
    }
    assert!(matches!(&arenas[..], [flags] if flags.contains(" dd")), "{arenas:?}");
}
