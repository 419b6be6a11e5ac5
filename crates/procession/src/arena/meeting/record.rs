//! What a meeting place says: lines of `key value`, which any language can read.
//!
//! ```text
//! procession-family 1
//! layout 7
//! pid 4711
//! start 123456
//! fd 3
//! namespace 4026531836
//! family 0f1e2d3c4b5a69788796a5b4c3d2e1f0
//! device 1
//! inode 42
//! end
//! ```
//!
//! The first line is the format's version. Lines that are not known are passed over. The file is replaced
//! as a whole, so what has no end was not written by this library.

use super::super::family::{FamilyId, Inner};
use super::super::layout::VERSION;
use crate::sys::process::{self, Identity};

const FORMAT: &str = "procession-family";
const FORMAT_VERSION: u32 = 1;

/// A process that is or was a member, and the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) layout: u64,
    pub(crate) member: Identity,
    /// Number of the arena's descriptor in that process.
    pub(crate) fd: u32,
    pub(crate) family: FamilyId,
    /// Device and inode of the arena's file.
    pub(crate) file: (u64, u64),
}

impl Record {
    /// This process, in this family.
    pub(crate) fn of(inner: &Inner) -> Record {
        Record {
            layout: VERSION,
            member: process::identity(),
            fd: inner.fd_number(),
            family: inner.id,
            file: inner.map.identity,
        }
    }

    pub(crate) fn text(&self) -> String {
        let Record { layout, member, fd, family, file } = self;
        let Identity { pid, start, namespace } = member;
        format!(
            "{FORMAT} {FORMAT_VERSION}\nlayout {layout}\npid {pid}\nstart {start}\nfd {fd}\n\
             namespace {namespace}\nfamily {family}\ndevice {}\ninode {}\nend\n",
            file.0, file.1
        )
    }

    /// `Ok(None)`: the file is empty, its maker was killed before it had a family.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Record>, String> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| foreign())?;
        let mut lines = text.lines();
        let version = lines.next().and_then(|l| l.strip_prefix(FORMAT)?.strip_prefix(' '));
        let version: u32 = version.and_then(|v| v.parse().ok()).ok_or_else(foreign)?;
        let found = |key: &str| {
            let mut values = lines.clone().filter_map(|l| l.strip_prefix(key)?.strip_prefix(' '));
            values.next()
        };
        let number = |key| found(key)?.parse::<u64>().ok();
        let small = |key| u32::try_from(number(key)?).ok();
        let record = || {
            lines.clone().any(|l| l == "end").then_some(())?;
            Some(Record {
                layout: number("layout")?,
                member: Identity {
                    pid: small("pid")?,
                    start: number("start")?,
                    namespace: number("namespace")?,
                },
                fd: small("fd")?,
                family: FamilyId::parse(found("family")?)?,
                file: (number("device")?, number("inode")?),
            })
        };
        match record() {
            Some(record) => Ok(Some(record)),
            None if version == FORMAT_VERSION => Err(foreign()),
            None => Err(format!(
                "it has format {version}, this program knows format {FORMAT_VERSION}: another version \
                 of Procession has made it"
            )),
        }
    }
}

fn foreign() -> String {
    "it is not what Procession writes; if nobody needs it, remove it".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            layout: 7,
            member: Identity { pid: 11, start: 22, namespace: 33 },
            fd: 4,
            family: FamilyId([7; 16]),
            file: (5, 6),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Record::parse(record().text().as_bytes()), Ok(Some(record())));
    }

    #[test]
    fn lines_of_later_versions_are_passed_over() {
        let text =
            record().text().replace("fd 4", "colour blue\nfd 4").replace("family 1", "family 2");
        assert_eq!(Record::parse(text.as_bytes()), Ok(Some(record())));
    }

    #[test]
    fn no_part_of_a_record_is_one() {
        let text = record().text();
        assert_eq!(Record::parse(b""), Ok(None));
        for len in 1..text.len() - 1 {
            assert!(Record::parse(&text.as_bytes()[..len]).is_err(), "{}", &text[..len]);
        }
    }

    #[test]
    fn another_format_is_told_from_garbage() {
        let other = Record::parse(b"procession-family 2\nat somewhere\n").unwrap_err();
        assert!(other.contains("format 2"), "{other}");
        for garbage in [&b"hello"[..], b"\xff\xfe", b"procession-family x\n", b"\n\n"] {
            assert!(Record::parse(garbage).unwrap_err().contains("remove it"));
        }
    }
}
