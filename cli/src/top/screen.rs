//! How the figures look.

use ant_cache_core::size::human;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Sparkline, Table};

use super::figures::Figures;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, figures: &Figures, address: &str, trouble: Option<&str>) {
    let [head, gauges, boxes, rates, lists] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(3),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Min(4),
    ])
    .areas(frame.area());
    header(frame, head, figures, address, trouble);
    let [hits, memory, pool] = thirds(gauges);
    gauge(frame, hits, "Hit ratio", figures.hit_ratio(), None);
    memory_gauge(frame, memory, figures);
    pool_gauge(frame, pool, figures);
    let [traffic, storage, workers] = thirds(boxes);
    frame.render_widget(list("Traffic", traffic_lines(figures)), traffic);
    frame.render_widget(list("Memory", memory_lines(figures)), storage);
    frame.render_widget(list("Server", server_lines(figures)), workers);
    throughput(frame, rates, figures);
    let [commands, hot] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(lists);
    command_table(frame, commands, figures);
    hot_keys(frame, hot, figures);
}

fn thirds(area: Rect) -> [Rect; 3] {
    Layout::horizontal([Constraint::Ratio(1, 3); 3]).areas(area)
}

fn header(
    frame: &mut Frame<'_>,
    area: Rect,
    figures: &Figures,
    address: &str,
    trouble: Option<&str>,
) {
    let about = format!(
        "{}  {} {}  {}  up {}",
        figures.text("antcache_version"),
        figures.text("runtime"),
        figures.text("architecture"),
        address,
        age(figures.number("uptime_in_seconds")),
    );
    let second = match trouble {
        Some(trouble) => Line::from(format!("lost: {trouble}; trying again")).fg(Color::Red),
        None => Line::from("q quits").dim(),
    };
    let lines = vec![
        Line::from(vec!["Ant-Cache ".bold(), Span::from(about)]),
        second,
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn gauge(frame: &mut Frame<'_>, area: Rect, title: &str, part: f64, label: Option<String>) {
    let known = part.is_finite();
    let part = if known { part.clamp(0.0, 1.0) } else { 0.0 };
    let plain = if known {
        format!("{:.1} %", part * 100.0)
    } else {
        "–".to_owned()
    };
    let gauge = Gauge::default()
        .block(Block::bordered().title(title.to_owned()))
        .gauge_style(Style::new().fg(Color::Green))
        .ratio(part)
        .label(label.unwrap_or(plain));
    frame.render_widget(gauge, area);
}

fn memory_gauge(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let (used, most) = (figures.number("used_memory"), figures.number("maxmemory"));
    let label = if most > 0.0 {
        format!("{} of {}", bytes(used), bytes(most))
    } else {
        format!("{}, no bound", bytes(used))
    };
    let part = if most > 0.0 { used / most } else { 0.0 };
    gauge(frame, area, "Memory", part, Some(label));
}

fn pool_gauge(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let (busy, all) = (figures.number("workers_busy"), figures.number("workers"));
    let label = if all.is_finite() {
        format!(
            "{busy} of {all} busy, {} queued",
            figures.text("ready_connections")
        )
    } else {
        "no pool".to_owned()
    };
    gauge(frame, area, "Workers", busy / all, Some(label));
}

/// Names and values, a line each.
fn list(title: &'static str, lines: Vec<(&'static str, String)>) -> Table<'static> {
    let rows = lines.into_iter().map(|(name, value)| {
        Row::new(vec![
            Line::from(name).dim(),
            Line::from(value).right_aligned(),
        ])
    });
    let widths = [Constraint::Fill(1), Constraint::Fill(1)];
    Table::new(rows, widths).block(Block::bordered().title(title))
}

fn traffic_lines(figures: &Figures) -> Vec<(&'static str, String)> {
    vec![
        (
            "requests/s",
            count(figures.rate("total_commands_processed")),
        ),
        ("errors/s", count(figures.rate("total_error_replies"))),
        ("received/s", bytes(figures.rate("total_net_input_bytes"))),
        ("sent/s", bytes(figures.rate("total_net_output_bytes"))),
        ("connections", figures.text("connected_clients").to_owned()),
        ("new/s", count(figures.rate("total_connections_received"))),
    ]
}

fn memory_lines(figures: &Figures) -> Vec<(&'static str, String)> {
    vec![
        ("keys", count(figures.number("keys"))),
        ("entries", bytes(figures.number("used_memory_dataset"))),
        ("connections", bytes(figures.number("used_memory_clients"))),
        ("resident", bytes(figures.number("used_memory_rss"))),
        ("expired/s", count(figures.rate("expired_keys"))),
        ("evicted/s", count(figures.rate("evicted_keys"))),
    ]
}

fn server_lines(figures: &Figures) -> Vec<(&'static str, String)> {
    let cpu = figures.rate("used_cpu_user") + figures.rate("used_cpu_sys");
    vec![
        (
            "processor",
            if cpu.is_finite() {
                format!("{:.0} %", cpu * 100.0)
            } else {
                "–".to_owned()
            },
        ),
        ("mean turn", micros(figures.number("turn_time_usec"))),
        ("taken over", figures.text("lanes_taken_over").to_owned()),
        (
            "expiry lag",
            micros(figures.number("expire_lag_p99_ms") * 1000.0),
        ),
        ("slow calls", figures.text("slowlog_len").to_owned()),
        ("refused", figures.text("rejected_connections").to_owned()),
    ]
}

fn throughput(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let width = usize::from(area.width.saturating_sub(2));
    let points = &figures.throughput;
    let latest: Vec<u64> = points
        .iter()
        .copied()
        .skip(points.len().saturating_sub(width))
        .collect();
    let most = latest.iter().max().copied().unwrap_or(0);
    let title = format!("Requests a second, {} at most", count(most as f64));
    let line = Sparkline::default()
        .block(Block::bordered().title(title))
        .style(Style::new().fg(Color::Cyan))
        .data(latest);
    frame.render_widget(line, area);
}

fn command_table(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let right = |text: String| Line::from(text).right_aligned();
    let rows = figures.commands().into_iter().map(|(line, rate)| {
        Row::new(vec![
            Line::from(line.name.to_ascii_uppercase()),
            right(count(rate)),
            right(count(line.calls)),
            right(count(line.failures)),
            right(micros(line.p50)),
            right(micros(line.p99)),
        ])
    });
    let head = ["Command", "calls/s", "calls", "errors", "median", "99 %"];
    let head = head.map(|title| {
        if title == "Command" {
            Line::from(title)
        } else {
            Line::from(title).right_aligned()
        }
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(head.to_vec()).dim())
        .block(Block::bordered().title("Commands"));
    frame.render_widget(table, area);
}

fn hot_keys(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let rows = figures.hot.iter().map(|hot| {
        Row::new(vec![
            Line::from(format!("{} %", hot.share)).right_aligned(),
            Line::from(hot.key.clone()),
        ])
    });
    let table = Table::new(rows, [Constraint::Length(8), Constraint::Fill(1)])
        .block(Block::bordered().title("Hot keys"));
    frame.render_widget(table, area);
}

fn count(n: f64) -> String {
    if !n.is_finite() {
        return "–".to_owned();
    }
    let units = [(1e9, " G"), (1e6, " M"), (1e4, " k")];
    match units.iter().find(|(size, _)| n >= *size) {
        Some((size, " k")) => format!("{:.1} k", n / (size / 10.0)),
        Some((size, unit)) => format!("{:.2}{unit}", n / size),
        None => format!("{n:.0}"),
    }
}

fn bytes(n: f64) -> String {
    if n.is_finite() {
        human(n.max(0.0) as u64)
    } else {
        "–".to_owned()
    }
}

fn micros(n: f64) -> String {
    match n {
        n if !n.is_finite() => "–".to_owned(),
        n if n >= 1e6 => format!("{:.2} s", n / 1e6),
        n if n >= 1e3 => format!("{:.2} ms", n / 1e3),
        n => format!("{n:.1} µs"),
    }
}

/// Seconds as days, hours, minutes.
fn age(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::stats::{HotKey, Reading};

    fn drawn(figures: &Figures, trouble: Option<&str>, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| draw(frame, figures, "127.0.0.1:8890", trouble))
            .unwrap();
        terminal.backend().to_string()
    }

    fn figures() -> Figures {
        let reading = |calls: u64| {
            Reading::parse(&format!(
                "# Server\nrun_id:a\nantcache_version:0.1.0\nuptime_in_seconds:3700\n# Memory\nused_memory:1048576\n\
                 maxmemory:4194304\n# Stats\ntotal_commands_processed:{calls}\nkeyspace_hits:{calls}\nkeyspace_misses:0\n\
                 # Antcache\nworkers:8\nworkers_busy:2\nready_connections:3\n# Commandstats\n\
                 cmdstat_get:calls={calls},failed_calls=1\n# Latencystats\nlatency_percentiles_usec_get:p50=1.5,p99=2500.0\n"
            ))
        };
        let (mut figures, start) = (Figures::default(), Instant::now());
        let hot = HotKey {
            key: "user:1".to_owned(),
            share: "12.50".to_owned(),
        };
        figures.add(reading(0), Vec::new(), start);
        figures.add(reading(123_456), vec![hot], start + Duration::from_secs(1));
        figures
    }

    #[test]
    fn the_figures_are_on_the_screen() {
        let screen = drawn(&figures(), None, 110, 36);
        for text in [
            "0.1.0",
            "up 1 h 1 min",
            "100.0 %",
            "1.00M of 4.00M",
            "2 of 8 busy, 3 queued",
            "123.5 k",
            "GET",
            "2.50 ms",
            "12.50 %",
            "user:1",
        ] {
            assert!(screen.contains(text), "{text}\n{screen}");
        }
        assert!(drawn(&figures(), Some("gone"), 110, 36).contains("lost: gone; trying again"));
    }

    #[test]
    fn no_screen_is_too_small_and_no_server_too_silent() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            let _ = drawn(&figures(), None, width, height);
            let _ = drawn(&Figures::default(), Some("gone"), width, height);
        }
    }
}
