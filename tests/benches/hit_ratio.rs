//! Hit ratios of the eviction policies on traces of real caches.
//!
//! `cargo bench -p ant-cache-tests --bench hit_ratio -- [--seeds N] [--svg DIRECTORY]` prints a table of the reference
//! rows, and draws hit ratio over size for each trace. The directory is meant from the project's root.

use std::error::Error;
use std::path::Path;

use ant_cache_core::eviction::Eviction;
use ant_cache_tests::traces::{self, ROWS, Row};
use plotters::prelude::*;

/// Shards of the second column.
const SHARDS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    if traces::directory().is_none() {
        println!("skipped: there are no traces (CACHE_TRACES names their directory)");
        return Ok(());
    }
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let place = args.iter().position(|arg| arg == name)?;
        args.get(place + 1)
    };
    let seeds = value("--seeds").map_or(Ok(3), |seeds| seeds.parse())?;
    table(seeds);
    if let Some(directory) = value("--svg") {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(directory);
        for rows in ROWS.chunk_by(|a, b| a.trace == b.trace) {
            draw(rows, &directory)?;
        }
    }
    Ok(())
}

/// Prints the hit ratio of every row, and what comes of all.
fn table(seeds: u64) {
    println!("{seeds} seeds; percent of requests\n");
    println!("| trace | entries | adaptive | 8 shards | lru | random | best other | optimum |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut sums = [0.0; 6];
    let mut worst = (f64::MIN, ROWS[0]);
    for rows in ROWS.chunk_by(|a, b| a.trace == b.trace) {
        let keys = traces::keys(rows[0].trace);
        for row in rows {
            let mean = |eviction, shards| {
                let ratio = |seed| traces::hit_ratio(&keys, row.entries, shards, eviction, seed);
                (1..=seeds).map(ratio).sum::<f64>() / seeds as f64
            };
            let ratios = [
                mean(Eviction::Adaptive, 1),
                mean(Eviction::Adaptive, SHARDS),
                mean(Eviction::Lru, 1),
                mean(Eviction::Random, 1),
                row.best(),
                row.optimum,
            ];
            print!("| {} | {} |", row.trace, row.entries);
            for (sum, ratio) in sums.iter_mut().zip(ratios) {
                *sum += ratio;
                print!(" {ratio:.2} |");
            }
            println!();
            if row.best() - ratios[0] > worst.0 {
                worst = (row.best() - ratios[0], *row);
            }
        }
    }
    print!("| mean | |");
    for sum in sums {
        print!(" {:.2} |", sum / ROWS.len() as f64);
    }
    let [one, eight, ..] = sums.map(|sum| sum / ROWS.len() as f64);
    let (below, row) = worst;
    println!("\n\nmean of adaptive: {one:.2} (at least 59.0)");
    println!(
        "worst row, {} {}: {below:.2} below the best other (at most 3)",
        row.trace, row.entries
    );
    println!("{SHARDS} shards: {:.2} less (at most 0.5)", one - eight);
}

/// Draws hit ratio over size for one trace: our policies at many sizes, the others at those of the reference.
fn draw(rows: &[Row], directory: &Path) -> Result<(), Box<dyn Error>> {
    /// Sizes between half the least and twice the greatest.
    const SIZES: u32 = 16;
    let trace = rows[0].trace;
    let keys = traces::keys(trace);
    let (least, most) = (
        rows[0].entries as f64 / 2.0,
        rows[rows.len() - 1].entries as f64 * 2.0,
    );
    let sizes: Vec<f64> = (0..=SIZES)
        .map(|step| least * (most / least).powf(f64::from(step) / f64::from(SIZES)))
        .collect();
    let path = directory.join(format!("hit-ratio-{trace}.svg"));
    let area = SVGBackend::new(&path, (640, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{trace}: hit ratio over size"), ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d((least..most).log_scale(), 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_desc("entries")
        .y_desc("% of requests")
        .x_label_formatter(&|entries| format!("{entries:.0}"))
        .draw()?;
    let ours = [
        (Eviction::Adaptive, RED),
        (Eviction::Lru, BLUE),
        (Eviction::Random, RGBColor(150, 150, 150)),
    ];
    for (eviction, color) in ours {
        let point = |&size: &f64| {
            (
                size,
                traces::hit_ratio(&keys, size as usize, 1, eviction, 1),
            )
        };
        chart
            .draw_series(LineSeries::new(
                sizes.iter().map(point),
                color.stroke_width(2),
            ))?
            .label(eviction.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    type Other = (&'static str, fn(&Row) -> f64, RGBColor);
    let others: [Other; 4] = [
        ("ARC", |row| row.arc, GREEN),
        ("S3-FIFO", |row| row.s3_fifo, MAGENTA),
        ("W-TinyLFU", |row| row.w_tinylfu, CYAN),
        ("optimum", |row| row.optimum, BLACK),
    ];
    for (name, ratio, color) in others {
        let points = rows
            .iter()
            .map(|row| Circle::new((row.entries as f64, ratio(row)), 3, color.filled()));
        chart
            .draw_series(points)?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 9, y), 3, color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    println!("{}", path.display());
    Ok(())
}
