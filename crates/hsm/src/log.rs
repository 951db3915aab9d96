//! Log lines: one JSON object a line on the standard error, written at once. They carry no time (whoever collects
//! them stamps them) and nothing of any command but counts.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How much a line matters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

/// Writes one line. A standard error that is gone must not stop the HSM, nor one that nobody reads: failures are ignored,
/// and where there is no room for the line it is left out. (The host may write to the same pipe, and fill it in between:
/// then the line waits.)
pub(crate) fn log(level: Level, event: &str, fields: &[(&str, &dyn Display)]) {
    let line = line(level, event, fields);
    let mut stderr = std::io::stderr().lock();
    if takes(&stderr) {
        let _ = stderr.write_all(line.as_bytes());
    }
}

/// Whether a line can be written without waiting: a pipe that says so takes `PIPE_BUF` bytes (pipe(7)).
fn takes(file: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(file, PollFlags::OUT)];
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(ready) if ready > 0)
}

/// Makes a panic end the process at once: an HSM that lost its way must not go on. Only the place is logged, since
/// the message of a panic can hold data.
pub(crate) fn set_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        log(Level::Error, "panic", &[("place", &place)]);
        std::process::abort();
    }));
}

fn line(level: Level, event: &str, fields: &[(&str, &dyn Display)]) -> String {
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut line = String::from("{\"level\":");
    quote(&mut line, level);
    line.push_str(",\"event\":");
    quote(&mut line, event);
    for (name, value) in fields {
        line.push(',');
        quote(&mut line, name);
        line.push(':');
        quote(&mut line, &value.to_string());
    }
    line.push_str("}\n");
    line
}

/// A JSON string (RFC 8259 section 7). What could break a line or a terminal is escaped.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            ' '..='~' => line.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack I5: whatever a value holds, a line stays one line of ASCII JSON.
    #[test]
    fn lines_are_one_line_of_json() {
        assert_eq!(
            line(Level::Warn, "e", &[("a", &"x\n\"\\\u{1b}\u{2028}é😀")]),
            "{\"level\":\"warn\",\"event\":\"e\",\"a\":\"x\\u000a\\\"\\\\\\u001b\\u2028\\u00e9\\ud83d\\ude00\"}\n"
        );
        assert_eq!(line(Level::Error, "e", &[]), "{\"level\":\"error\",\"event\":\"e\"}\n");
        assert!(line(Level::Info, "e", &[("n", &7)]).contains("\"n\":\"7\""));
    }

    /// A reader that has fallen behind gets no more lines, and keeps nobody waiting.
    #[test]
    fn a_full_pipe_takes_no_line() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        assert!(takes(&write));
        let mut taken = 0;
        while takes(&write) {
            taken += rustix::io::write(&write, &[b'x'; 1024]).unwrap();
        }
        assert!(taken > 0);
        rustix::io::read(&read, &mut vec![0; taken]).unwrap();
        assert!(takes(&write));
    }
}
