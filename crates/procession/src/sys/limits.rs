//! How much memory is left: of the control group (v2 and v1) or of the host, whichever is less.

use std::fs;

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `limit - usage` of a control group and of all above it; `None` where nothing limits.
fn group_left(root: &str, path: &str, limit: &str, usage: &str) -> Option<u64> {
    let mut left: Option<u64> = None;
    let mut path = path.trim_end_matches('/');
    loop {
        let dir = format!("{root}{path}");
        if let (Some(l), Some(u)) =
            (number(&format!("{dir}/{limit}")), number(&format!("{dir}/{usage}")))
        {
            let here = l.saturating_sub(u);
            left = Some(left.map_or(here, |x| x.min(here)));
        }
        match path.rfind('/') {
            Some(i) => path = &path[..i],
            None => return left,
        }
    }
}

fn cgroup_left() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut left: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let here = if controllers.is_empty() {
            group_left("/sys/fs/cgroup", path, "memory.max", "memory.current")
        } else if controllers.split(',').any(|c| c == "memory") {
            group_left(
                "/sys/fs/cgroup/memory",
                path,
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        } else {
            None
        };
        left = match (left, here) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    left
}

fn host_left() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Bytes that may still be used: read anew at each call, some tens of microseconds.
pub(crate) fn memory_left() -> u64 {
    let host = host_left().unwrap_or(u64::MAX / 2);
    cgroup_left().map_or(host, |c| c.min(host))
}
