//! What a server wants of its machine, and why: pure rules over what the machine tells.

use super::facts::{Facts, Limit};

/// What is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// Connections at the same time.
    pub(super) connections: u64,
}

/// How a setting stands to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Good,
    /// The kernel does not tell, or there is no such thing here.
    Unknown,
    /// It works, and would be faster or safer otherwise.
    Advice,
    /// It fails or stalls under load.
    Problem,
}

/// One setting, judged.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) wanted: String,
    pub(super) verdict: Verdict,
    pub(super) why: &'static str,
    /// How to change it, where it should be.
    pub(super) change: Option<String>,
}

/// Descriptors beside those of connections: listeners, pollers, wake-ups, logs, with room to spare.
const OTHER_FILES: u64 = 64;
/// What the server asks of its listeners.
const BACKLOG: u64 = 4096;
/// Threads of a server: twice the default of 200 workers, to which the pool may grow, and some of its own.
const THREADS: u64 = 450;
/// The least memory in which the default bound of three quarters leaves room for connections.
const LEAST_MEMORY: u64 = 64 << 20;

/// A setting that is judged by one number.
struct Rule {
    name: &'static str,
    value: Option<u64>,
    wanted: String,
    good: fn(u64, Needs) -> bool,
    otherwise: Verdict,
    why: &'static str,
    change: String,
}

impl Rule {
    fn finding(self, needs: Needs) -> Finding {
        let verdict = match self.value {
            None => Verdict::Unknown,
            Some(value) if (self.good)(value, needs) => Verdict::Good,
            Some(_) => self.otherwise,
        };
        Finding {
            name: self.name,
            value: self
                .value
                .map_or("unknown".into(), |value| value.to_string()),
            wanted: self.wanted,
            verdict,
            why: self.why,
            change: (verdict >= Verdict::Advice).then_some(self.change),
        }
    }
}

/// A setting of the kernel, and how to change it now and for good.
fn sysctl(name: &str, value: impl core::fmt::Display) -> String {
    format!(
        "sysctl -w {name}={value}; to keep it: echo '{name} = {value}' >> /etc/sysctl.d/90-ant-cache.conf"
    )
}

/// All settings.
pub(super) fn examine(facts: &Facts, needs: Needs) -> Vec<Finding> {
    let rules = network(facts, needs).into_iter().chain(memory(facts));
    let mut findings = vec![open_files(facts, needs), machine_files(facts, needs)];
    findings.extend(rules.map(|rule| rule.finding(needs)));
    findings.extend([
        huge_pages(facts),
        address_space(facts),
        group_memory(facts),
        group_memory_high(facts),
        group_cpu(facts),
        tasks(facts),
        clock_source(facts),
        governors(facts),
    ]);
    findings
}

fn open_files(facts: &Facts, needs: Needs) -> Finding {
    let least = needs.connections + OTHER_FILES;
    let hard = facts.open_files.map(|(_, hard)| hard);
    let value = facts.open_files.map(|(soft, hard)| match (soft, hard) {
        (Limit::Unlimited, _) => "unlimited".to_owned(),
        (Limit::At(soft), Limit::At(hard)) => format!("{soft}, at most {hard}"),
        (Limit::At(soft), Limit::Unlimited) => format!("{soft}, as many as wanted"),
    });
    let verdict = match hard {
        None => Verdict::Unknown,
        Some(hard) if hard >= Limit::At(least) => Verdict::Good,
        Some(_) => Verdict::Problem,
    };
    Finding {
        name: "open files (ulimit -n)",
        value: value.unwrap_or("unknown".into()),
        wanted: format!("may be raised to {least}"),
        verdict,
        why: "each connection is an open file; the server raises its own limit to the most that it may, and refuses \
              connections beyond it",
        change: (verdict == Verdict::Problem).then(|| {
            format!(
                "LimitNOFILE={least} in the systemd unit, or '* hard nofile {least}' in /etc/security/limits.conf \
                 and a new login"
            )
        }),
    }
}

fn machine_files(facts: &Facts, needs: Needs) -> Finding {
    Rule {
        name: "fs.file-max",
        value: facts.machine_files,
        wanted: format!("at least {}", 2 * needs.connections),
        good: |value, needs| value >= 2 * needs.connections,
        otherwise: Verdict::Problem,
        why: "open files of the whole machine; beyond them nobody can accept a connection",
        change: sysctl("fs.file-max", 1_000_000.max(4 * needs.connections)),
    }
    .finding(needs)
}

fn network(facts: &Facts, needs: Needs) -> [Rule; 5] {
    let ports = facts
        .local_ports
        .map(|(first, last)| (last + 1).saturating_sub(first));
    [
        Rule {
            name: "net.core.somaxconn",
            value: facts.somaxconn,
            wanted: format!("at least {BACKLOG}"),
            good: |value, _| value >= BACKLOG,
            otherwise: Verdict::Problem,
            why: "connections that wait to be accepted; when a fleet of clients reconnects at once, those beyond it are \
                  dropped and try again a second later",
            change: sysctl("net.core.somaxconn", 65_535),
        },
        Rule {
            name: "net.ipv4.tcp_max_syn_backlog",
            value: facts.syn_backlog,
            wanted: "at least 1024".into(),
            good: |value, _| value >= 1024,
            otherwise: Verdict::Advice,
            why: "connections whose handshake is under way; the same as above, one step earlier",
            change: sysctl("net.ipv4.tcp_max_syn_backlog", 65_535),
        },
        Rule {
            name: "net.core.netdev_max_backlog",
            value: facts.netdev_backlog,
            wanted: "at least 1000".into(),
            good: |value, _| value >= 1000,
            otherwise: Verdict::Advice,
            why: "packets that wait for a core; a burst beyond it is lost and sent again 200 ms later",
            change: sysctl("net.core.netdev_max_backlog", 5000),
        },
        Rule {
            name: "net.ipv4.ip_local_port_range",
            value: ports,
            wanted: format!("at least {} ports", needs.connections),
            good: |value, needs| value >= needs.connections,
            otherwise: Verdict::Advice,
            why: "ports of outgoing connections: a load generator, a proxy or a client on this machine can have so many \
                  connections to one server",
            change: sysctl("net.ipv4.ip_local_port_range", "'1024 65535'"),
        },
        Rule {
            name: "net.ipv4.tcp_fin_timeout",
            value: facts.fin_timeout,
            wanted: "at most 60".into(),
            good: |value, _| value <= 60,
            otherwise: Verdict::Advice,
            why: "seconds that a closed connection whose other side says nothing takes up memory",
            change: sysctl("net.ipv4.tcp_fin_timeout", 30),
        },
    ]
}

fn memory(facts: &Facts) -> Vec<Rule> {
    let no_swap = facts.swap == Some(0);
    vec![
        Rule {
            name: "vm.swappiness",
            value: facts.swappiness,
            wanted: if no_swap {
                "anything: there is no swap".into()
            } else {
                "at most 10".into()
            },
            good: if no_swap {
                |_, _| true
            } else {
                |value, _| value <= 10
            },
            otherwise: Verdict::Advice,
            why: "how readily memory is swapped out: a request that needs it back waits for the disk, and so does \
                  everybody on its lane",
            change: sysctl("vm.swappiness", 1),
        },
        Rule {
            name: "vm.overcommit_memory",
            value: facts.overcommit,
            wanted: "0 or 1".into(),
            good: |value, _| value <= 1,
            otherwise: Verdict::Problem,
            why: "with 2 the kernel refuses memory that is set aside and not yet used, and the server ends; nothing is \
                  forked here, so that 1 is not needed as it is for Redis",
            change: sysctl("vm.overcommit_memory", 0),
        },
        Rule {
            name: "memory at hand, MiB",
            value: facts.memory_free.map(|bytes| bytes >> 20),
            wanted: "at least 256".into(),
            good: |value, _| value >= 256,
            otherwise: Verdict::Advice,
            why: "what other programs have taken the cache cannot have, whatever its bound says",
            change: "stop what else runs here, or set --max-memory below what is at hand".into(),
        },
    ]
}

/// A setting that is a word.
fn word(
    name: &'static str,
    value: Option<&str>,
    wanted: &str,
    bad: impl FnOnce(&str) -> bool,
    why: &'static str,
    change: &str,
) -> Finding {
    let verdict = match value {
        None => Verdict::Unknown,
        Some(value) if bad(value) => Verdict::Advice,
        Some(_) => Verdict::Good,
    };
    Finding {
        name,
        value: value.unwrap_or("unknown").to_owned(),
        wanted: wanted.to_owned(),
        verdict,
        why,
        change: (verdict == Verdict::Advice).then(|| change.to_owned()),
    }
}

fn huge_pages(facts: &Facts) -> Finding {
    word(
        "transparent huge pages",
        facts.huge_pages.as_deref(),
        "madvise or never",
        |value| value == "always",
        "with always, memory of a few deleted keys is given back 2 MiB at a time or not at all, and a request may wait \
         while the kernel puts such a page together",
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; to keep it: the kernel's parameter \
         transparent_hugepage=madvise",
    )
}

fn address_space(facts: &Facts) -> Finding {
    let limit = facts.address_space.map(|limit| match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::At(bytes) => format!("{} MiB", bytes >> 20),
    });
    word(
        "address space (ulimit -v)",
        limit.as_deref(),
        "unlimited",
        |value| value != "unlimited",
        "threads and the allocator set aside far more addresses than they use memory; the bound is --max-memory",
        "ulimit -v unlimited, or LimitAS=infinity in the systemd unit",
    )
}

fn clock_source(facts: &Facts) -> Finding {
    word(
        "clock source",
        facts.clock_source.as_deref(),
        "tsc, kvm-clock or arch_sys_counter",
        |value| matches!(value, "hpet" | "acpi_pm" | "xen" | "jiffies"),
        "the time is read in each turn: from these without the kernel, from others by a system call or a slow device",
        "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, where the machine offers it",
    )
}

fn governors(facts: &Facts) -> Finding {
    let value = (!facts.governors.is_empty()).then(|| facts.governors.join(", "));
    word(
        "governor of frequencies",
        value.as_deref(),
        "performance or schedutil",
        |value| value.contains("powersave") || value.contains("conservative"),
        "a core that has slowed down while idle makes the first requests of a burst several times as slow",
        "cpupower frequency-set -g performance",
    )
}

fn group_memory(facts: &Facts) -> Finding {
    let limit = facts
        .group_memory
        .filter(|&limit| Some(limit) < facts.memory);
    let verdict = match limit {
        Some(limit) if limit < LEAST_MEMORY => Verdict::Problem,
        _ => Verdict::Good,
    };
    Finding {
        name: "memory of the container",
        value: limit.map_or("not limited".into(), |limit| format!("{} MiB", limit >> 20)),
        wanted: format!("at least {} MiB", LEAST_MEMORY >> 20),
        verdict,
        why: "beyond it the kernel kills the server; the default of --max-memory is three quarters of it, so that \
              connections have the rest",
        change: (verdict == Verdict::Problem)
            .then(|| "MemoryMax= in the systemd unit, or the memory limit of the container".into()),
    }
}

fn group_memory_high(facts: &Facts) -> Finding {
    let high = facts.group_memory_high;
    let whole = facts.group_memory.or(facts.memory);
    // The default bound is three quarters; a group above this mark is slowed down while it evicts in peace.
    let verdict = match (high, whole) {
        (Some(high), Some(whole)) if high < whole / 5 * 4 => Verdict::Advice,
        _ => Verdict::Good,
    };
    Finding {
        name: "mark of memory (memory.high)",
        value: high.map_or("not set".into(), |high| format!("{} MiB", high >> 20)),
        wanted: "not set, or over four fifths of the limit".into(),
        verdict,
        why: "above it the kernel makes the group wait at each allocation, though the server stays within its own bound",
        change: (verdict == Verdict::Advice).then(|| {
            "MemoryHigh=infinity in the systemd unit, or --max-memory below the mark".into()
        }),
    }
}

fn group_cpu(facts: &Facts) -> Finding {
    let throttled = facts.group_throttled.unwrap_or(0);
    let verdict = match facts.group_cpu {
        Some(cores) if cores < 1.0 || throttled > 0 => Verdict::Advice,
        _ => Verdict::Good,
    };
    Finding {
        name: "cores of the container",
        value: match (facts.group_cpu, facts.cores) {
            (Some(quota), _) => format!("{quota} (stopped {throttled} times)"),
            (None, Some(cores)) => format!("not limited: {cores}"),
            (None, None) => "not limited".into(),
        },
        wanted: "not limited, or more than the load needs".into(),
        verdict,
        why: "a group that has used up its quota stands still until the next tenth of a second: that is the P99",
        change: (verdict == Verdict::Advice)
            .then(|| "CPUQuota= in the systemd unit, or the limit of the container; whole cores by AllowedCPUs= instead".into()),
    }
}

fn tasks(facts: &Facts) -> Finding {
    let user = facts.user_tasks.and_then(Limit::number);
    let lowest = user.into_iter().chain(facts.group_tasks).min();
    let verdict = match lowest {
        Some(tasks) if tasks < THREADS => Verdict::Problem,
        _ => Verdict::Good,
    };
    Finding {
        name: "threads (ulimit -u, pids.max)",
        value: lowest.map_or("not limited".into(), |tasks| tasks.to_string()),
        wanted: format!("at least {THREADS}"),
        verdict,
        why: "each worker is a thread, and the default pool of 200 may grow to 400; the architecture single on threads \
              needs one a connection",
        change: (verdict == Verdict::Problem).then(|| {
            "TasksMax=infinity and LimitNPROC=infinity in the systemd unit, or ulimit -u".into()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs {
        connections: 10_000,
    };

    /// A machine as it should be.
    fn good() -> Facts {
        Facts {
            open_files: Some((Limit::At(1024), Limit::At(524_288))),
            user_tasks: Some(Limit::At(10_000)),
            address_space: Some(Limit::Unlimited),
            machine_files: Some(1_000_000),
            somaxconn: Some(4096),
            syn_backlog: Some(1024),
            netdev_backlog: Some(1000),
            local_ports: Some((1024, 65_535)),
            fin_timeout: Some(60),
            swappiness: Some(60),
            swap: Some(0),
            overcommit: Some(0),
            huge_pages: Some("madvise".into()),
            memory: Some(16 << 30),
            memory_free: Some(8 << 30),
            group_memory: None,
            group_memory_high: None,
            group_cpu: None,
            group_throttled: None,
            group_tasks: None,
            cores: Some(4),
            clock_source: Some("tsc".into()),
            governors: vec!["performance".into()],
        }
    }

    /// What is not good of a machine.
    fn complaints(facts: &Facts) -> Vec<(&'static str, Verdict)> {
        let findings = examine(facts, NEEDS);
        for finding in &findings {
            let to_change = finding.verdict >= Verdict::Advice;
            assert_eq!(finding.change.is_some(), to_change, "{finding:?}");
            assert!(!finding.why.is_empty() && !finding.wanted.is_empty());
        }
        findings
            .into_iter()
            .filter(|finding| finding.verdict != Verdict::Good)
            .map(|finding| (finding.name, finding.verdict))
            .collect()
    }

    #[test]
    fn a_good_machine_has_nothing_to_change() {
        assert_eq!(complaints(&good()), []);
    }

    #[test]
    fn each_setting_is_judged_by_itself() {
        use Verdict::{Advice, Problem};
        type Change = fn(&mut Facts);
        let cases: [(Change, &str, Verdict); 19] = [
            (
                |it| it.open_files = Some((Limit::At(1024), Limit::At(10_063))),
                "open files (ulimit -n)",
                Problem,
            ),
            (|it| it.machine_files = Some(19_999), "fs.file-max", Problem),
            (|it| it.somaxconn = Some(128), "net.core.somaxconn", Problem),
            (
                |it| it.syn_backlog = Some(512),
                "net.ipv4.tcp_max_syn_backlog",
                Advice,
            ),
            (
                |it| it.netdev_backlog = Some(300),
                "net.core.netdev_max_backlog",
                Advice,
            ),
            (
                |it| it.local_ports = Some((60_000, 60_999)),
                "net.ipv4.ip_local_port_range",
                Advice,
            ),
            (
                |it| it.fin_timeout = Some(120),
                "net.ipv4.tcp_fin_timeout",
                Advice,
            ),
            (|it| it.swap = Some(1 << 30), "vm.swappiness", Advice),
            (
                |it| it.overcommit = Some(2),
                "vm.overcommit_memory",
                Problem,
            ),
            (
                |it| it.memory_free = Some(100 << 20),
                "memory at hand, MiB",
                Advice,
            ),
            (
                |it| it.huge_pages = Some("always".into()),
                "transparent huge pages",
                Advice,
            ),
            (
                |it| it.address_space = Some(Limit::At(1 << 30)),
                "address space (ulimit -v)",
                Advice,
            ),
            (
                |it| it.group_memory = Some(32 << 20),
                "memory of the container",
                Problem,
            ),
            (
                |it| it.group_memory_high = Some(1 << 30),
                "mark of memory (memory.high)",
                Advice,
            ),
            (
                |it| it.group_cpu = Some(0.5),
                "cores of the container",
                Advice,
            ),
            (
                |it| (it.group_cpu, it.group_throttled) = (Some(2.0), Some(7)),
                "cores of the container",
                Advice,
            ),
            (
                |it| it.group_tasks = Some(100),
                "threads (ulimit -u, pids.max)",
                Problem,
            ),
            (
                |it| it.clock_source = Some("hpet".into()),
                "clock source",
                Advice,
            ),
            (
                |it| it.governors = vec!["performance".into(), "powersave".into()],
                "governor of frequencies",
                Advice,
            ),
        ];
        for (change, name, verdict) in cases {
            let mut facts = good();
            change(&mut facts);
            assert_eq!(complaints(&facts), [(name, verdict)]);
        }
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_no_fault() {
        let complaints = complaints(&Facts::default());
        assert!(complaints.len() > 10);
        assert!(
            complaints
                .iter()
                .all(|&(_, verdict)| verdict == Verdict::Unknown)
        );
    }
}
