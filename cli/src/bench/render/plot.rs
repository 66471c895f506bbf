//! Plots as SVG.
//!
//! Drawn here and not by a library of plots: the pictures stand in a page and in a document whose readers may like it
//! dark, so colours come from a style sheet; each point tells its numbers when pointed at; and quantiles need an axis
//! of nines. That leaves little for a library, which the server's program would have to carry.

use core::fmt::Write;

use super::escape;
use crate::bench::suite::{Axis, Plot, Scale, number};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Around the plot: room for labels of the axes, the title and the legend.
const LEFT: f64 = 78.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 54.0;

/// Told apart by people who see few colours, on light and on dark (Okabe and Ito's, somewhat evened out).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#6a6ad4",
];

/// The style of a picture that stands alone.
pub(super) const STYLE: &str = "\
.plot{font:13px system-ui,sans-serif}\
.plot text{fill:#333}.plot .title{font-size:15px;font-weight:600}\
.plot .grid{stroke:#ddd;stroke-width:1}.plot .axis{stroke:#666;stroke-width:1}\
@media(prefers-color-scheme:dark){.plot text{fill:#ddd}.plot .grid{stroke:#444}.plot .axis{stroke:#999}}";

/// A picture that stands alone: a file, or a part of a page.
pub(super) fn svg(plot: &Plot) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\">\n<style>{STYLE}</style>\n<text class=\"title\" x=\"{LEFT}\" y=\"20\">{title}</text>\n",
        title = escape(&plot.title)
    );
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let x = Range::of(plot.x.scale, points().map(|point| point.0));
    let y = Range::of(plot.y.scale, points().map(|point| point.1));
    let (Some(x), Some(y)) = (x, y) else {
        out.push_str("<text x=\"360\" y=\"200\" text-anchor=\"middle\">no data</text>\n</svg>\n");
        return out;
    };
    let frame = Frame { x, y };
    frame.axes(&plot.x, &plot.y, &mut out);
    for (index, series) in plot.series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        frame.line(&series.name, &series.points, colour, &mut out);
        legend(index, &series.name, colour, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

/// The numbers of an axis and how they lie on it.
#[derive(Clone, Debug)]
struct Range {
    scale: Scale,
    /// The ends, as they lie on the scale.
    low: f64,
    high: f64,
    /// Numbers that are written.
    ticks: Vec<f64>,
}

/// Where a number lies, before it is stretched to the width of the plot.
fn lies(scale: Scale, number: f64) -> f64 {
    match scale {
        Scale::Linear => number,
        Scale::Log => number.log10(),
        // A quantile of 1 would lie infinitely far.
        Scale::Nines => -(1.0 - number).max(1e-7).log10(),
    }
}

impl Range {
    fn of(scale: Scale, numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let positive = scale == Scale::Log;
        let numbers: Vec<f64> = numbers
            .filter(|number| number.is_finite() && (!positive || *number > 0.0))
            .collect();
        let least = numbers.iter().copied().min_by(f64::total_cmp)?;
        let most = numbers.iter().copied().max_by(f64::total_cmp)?;
        let ticks = match scale {
            Scale::Linear => linear_ticks(most),
            Scale::Log => log_ticks(least, most),
            Scale::Nines => nines(most),
        };
        let ends = ticks.first().zip(ticks.last());
        let (&first, &last) = ends?;
        Some(Self {
            scale,
            low: lies(scale, first.min(least)),
            high: lies(scale, last.max(most)),
            ticks,
        })
    }

    /// From 0 at the low end to 1 at the high one.
    fn part(&self, number: f64) -> f64 {
        let width = (self.high - self.low).max(1e-9);
        ((lies(self.scale, number) - self.low) / width).clamp(0.0, 1.0)
    }
}

/// From 0 to `most` or a little beyond, five to ten steps of 1, 2 or 5 times a power of ten.
fn linear_ticks(most: f64) -> Vec<f64> {
    let most = if most > 0.0 { most } else { 1.0 };
    let power = 10f64.powf((most / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| most / step <= 7.0)
        .unwrap_or(10.0 * power);
    let count = (most / step).ceil() as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

/// Powers of ten around the numbers; with 2 and 5 between where they would be few.
fn log_ticks(least: f64, most: f64) -> Vec<f64> {
    let (first, last) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    let steps: &[f64] = if last - first <= 3 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let mut ticks: Vec<f64> = (first..=last)
        .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
        .collect();
    // One at or below the least, one at or above the most.
    let from = ticks
        .iter()
        .rposition(|&tick| tick <= least * 1.000_001)
        .unwrap_or(0);
    ticks.drain(..from);
    let to = ticks.iter().position(|&tick| tick >= most * 0.999_999);
    ticks.truncate(to.map_or(ticks.len(), |to| to + 1));
    ticks
}

fn nines(most: f64) -> Vec<f64> {
    let all = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
    let until = all
        .iter()
        .position(|&tick| tick >= most)
        .map_or(all.len(), |at| at + 1);
    all[..until].to_vec()
}

/// The place of the axes.
struct Frame {
    x: Range,
    y: Range,
}

impl Frame {
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.part(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self.y.part(y) * (HEIGHT - TOP - BOTTOM),
        )
    }

    fn axes(&self, x: &Axis, y: &Axis, out: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for &tick in &self.x.ticks {
            let at = LEFT + self.x.part(tick) * (right - LEFT);
            let (label, under) = (label(x.scale, tick), bottom + 18.0);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>\
                 <text x=\"{at:.1}\" y=\"{under}\" text-anchor=\"middle\">{label}</text>"
            );
        }
        for &tick in &self.y.ticks {
            let at = bottom - self.y.part(tick) * (bottom - TOP);
            let (label, beside) = (label(y.scale, tick), LEFT - 8.0);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
                 <text x=\"{beside}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                at + 4.5
            );
        }
        let middle = (LEFT + right) / 2.0;
        let _ = writeln!(
            out,
            "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\n\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 12.0,
            escape(&x.label),
            (TOP + bottom) / 2.0,
            escape(&y.label)
        );
    }

    fn line(&self, name: &str, points: &[(f64, f64)], colour: &str, out: &mut String) {
        let drawn: Vec<_> = points
            .iter()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|&point| (point, self.place(point)))
            .collect();
        let path: Vec<String> = drawn
            .iter()
            .map(|(_, (x, y))| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        );
        // Where points are close together, dots would hide the line; they still answer when pointed at.
        let radius = if drawn.len() > 40 { 1.5 } else { 3.5 };
        for ((x, y), (at_x, at_y)) in drawn {
            let (x, y) = (label(self.x.scale, x), label(self.y.scale, y));
            let _ = writeln!(
                out,
                "<circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"{radius}\" fill=\"{colour}\"><title>{}: {x}, {y}</title></circle>",
                escape(name)
            );
        }
    }
}

fn legend(index: usize, name: &str, colour: &str, out: &mut String) {
    const COLUMNS: usize = 3;
    let x = LEFT + (index % COLUMNS) as f64 * 205.0;
    let y = 38.0 + (index / COLUMNS) as f64 * 16.0;
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
        y - 6.0,
        x + 17.0,
        escape(name)
    );
}

/// A number at an axis: as short as can be.
fn label(scale: Scale, value: f64) -> String {
    if scale == Scale::Nines {
        let percent = format!("{:.4}", value * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        return format!("{percent} %");
    }
    match value {
        _ if value >= 1e6 => format!("{}M", trim(value / 1e6)),
        _ if value >= 1e4 => format!("{}k", trim(value / 1e3)),
        _ if value >= 100.0 => number(value),
        _ => trim(value),
    }
}

fn trim(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::suite::Series;

    fn plot(scale: Scale, points: &[(f64, f64)]) -> Plot {
        Plot {
            name: "test".into(),
            title: "a < b".into(),
            x: Axis::new("workers", scale),
            y: Axis::new("ops/s", Scale::Linear),
            series: vec![Series {
                name: "std & smol".into(),
                points: points.to_vec(),
            }],
        }
    }

    #[test]
    fn ticks_are_round_and_enclose_the_numbers() {
        assert_eq!(
            linear_ticks(230_000.0),
            [0.0, 50_000.0, 100_000.0, 150_000.0, 200_000.0, 250_000.0]
        );
        assert_eq!(linear_ticks(0.0).first(), Some(&0.0));
        assert_eq!(
            log_ticks(16.0, 1_048_576.0),
            [10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7]
        );
        assert_eq!(log_ticks(25.0, 500.0), [20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(nines(0.995), [0.0, 0.5, 0.9, 0.99, 0.999]);
    }

    #[test]
    fn ends_of_an_axis_are_the_ends_of_the_plot() {
        for scale in [Scale::Linear, Scale::Log, Scale::Nines] {
            let range = Range::of(scale, [0.5, 0.999].into_iter()).unwrap();
            let (first, last) = (range.ticks[0], range.ticks[range.ticks.len() - 1]);
            assert!(
                range.part(first) == 0.0 && range.part(last) == 1.0,
                "{scale:?}"
            );
            let middle = range.part(0.9);
            assert!(0.0 < middle && middle < 1.0, "{scale:?}: {middle}");
        }
        assert!(Range::of(Scale::Log, [0.0, f64::NAN].into_iter()).is_none());
    }

    #[test]
    fn text_is_escaped_and_every_point_is_there() {
        let picture = svg(&plot(
            Scale::Log,
            &[(25.0, 1e5), (50.0, 2e5), (f64::NAN, 1.0)],
        ));
        assert!(picture.contains("a &lt; b") && picture.contains("std &amp; smol: 25, 100k"));
        assert_eq!(picture.matches("<circle").count(), 2);
        assert!(svg(&plot(Scale::Log, &[])).contains("no data"));
    }

    #[test]
    fn labels_are_short() {
        let cases = [
            (0.0, "0"),
            (2.5, "2.5"),
            (500.0, "500"),
            (5000.0, "5,000"),
            (150_000.0, "150k"),
            (1.2e6, "1.2M"),
        ];
        for (value, text) in cases {
            assert_eq!(label(Scale::Linear, value), text);
        }
        assert_eq!(label(Scale::Nines, 0.999), "99.9 %");
    }
}
