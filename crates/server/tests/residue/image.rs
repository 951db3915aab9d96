//! The memory of a process, as a core dump would show it to root.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::needles::{Hits, Needles};
use crate::support::process::Process;

/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 16;
/// What most of a reserved mapping is.
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// One mapping.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) readable: bool,
    pub(crate) name: String,
}

/// What a search through a process has seen.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    /// What was found, with the name of the mapping it was found in.
    pub(crate) hits: Hits,
    pub(crate) bytes: u64,
    /// Names of readable mappings that the kernel does not give out.
    pub(crate) withheld: Vec<String>,
}

/// The mappings of a process; an error where the kernel shows them to nobody.
pub(crate) fn mappings(process: &Process) -> std::io::Result<Vec<Mapping>> {
    let maps = std::fs::read_to_string(process.proc("maps"))?;
    let parse = |line: &str| {
        let mut parts = line.split_whitespace();
        let (start, end) = parts.next()?.split_once('-')?;
        let readable = parts.next()?.starts_with('r');
        let address = |text| u64::from_str_radix(text, 16).ok();
        let name = parts.skip(3).collect::<Vec<_>>().join(" ");
        Some(Mapping { start: address(start)?, end: address(end)?, readable, name })
    };
    Ok(maps.lines().map(|line| parse(line).unwrap_or_else(|| panic!("cannot read `{line}`"))).collect())
}

/// Searches all that a process has in memory. Mappings of the kernel's own (`[vvar]` and the like) are left out.
pub(crate) fn search(process: &Process, needles: &Needles) -> std::io::Result<Searched> {
    let memory = File::open(process.proc("mem"))?;
    let mut searched = Searched::default();
    let own = |mapping: &Mapping| mapping.name.starts_with("[v");
    for mapping in mappings(process)?.into_iter().filter(|mapping| mapping.readable && !own(mapping)) {
        let mut hits = Hits::new();
        let bytes = search_mapping(&memory, &mapping, needles, &mut hits);
        searched.bytes += bytes;
        for (name, count) in hits {
            *searched.hits.entry(format!("{name} in {}", mapping.name)).or_default() += count;
        }
        if bytes == 0 {
            searched.withheld.push(mapping.name);
        }
    }
    Ok(searched)
}

/// Searches one mapping, piece by piece; answers how many bytes of it could be read.
fn search_mapping(memory: &File, mapping: &Mapping, needles: &Needles, hits: &mut Hits) -> u64 {
    let keep = needles.longest() - 1;
    let mut buffer = vec![0; keep + CHUNK];
    let (mut at, mut kept) = (mapping.start, 0);
    while at < mapping.end {
        let want = usize::try_from(mapping.end - at).unwrap().min(CHUNK);
        let Ok(count @ 1..) = memory.read_at(&mut buffer[kept..kept + want], at) else { break };
        at += count as u64;
        let filled = kept + count;
        if buffer[kept..filled] == ZEROS[..count] && buffer[..kept] == ZEROS[..kept] {
            // Memory that was never used: there is nothing in it, nor at its beginning.
            kept = 0;
            continue;
        }
        // The end of each piece is searched again with the next one, for what lies across; so a count may be too high.
        needles.search(&buffer[..filled], hits);
        let next = filled.min(keep);
        buffer.copy_within(filled - next..filled, 0);
        kept = next;
    }
    at - mapping.start
}
