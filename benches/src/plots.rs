//! The figures of one run as SVG.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::BenchError;
use crate::growth::Point;
use crate::memory;
use crate::rounds::Measured;

const SIZE: (u32, u32) = (900, 480);
const FONT: &str = "sans-serif";
const PALETTE: [RGBColor; 5] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 96, 20),
    RGBColor(44, 140, 44),
    RGBColor(180, 40, 40),
    RGBColor(120, 90, 170),
];

/// A name and its points.
pub type Line = (String, Vec<(f64, f64)>);

/// The p50 of each line of a comparison, as bars on a logarithmic scale.
///
/// # Errors
/// When the file cannot be written.
pub fn bars(file: &Path, title: &str, measured: &[Measured]) -> Result<(), BenchError> {
    let height = 90 + 34 * u32::try_from(measured.len())?;
    let area = SVGBackend::new(file, (SIZE.0, height)).into_drawing_area();
    let rows = measured.len() as f64;
    let longest = measured.iter().map(|each| each.p50_ns).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&filled(&area)?)
        .caption(title, (FONT, 18))
        .margin(12)
        .margin_right(90)
        .x_label_area_size(36)
        .y_label_area_size(330)
        .build_cartesian_2d((10.0..longest * 2.0).log_scale(), 0.0..rows)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_desc("nanoseconds, p50 (logarithmic)")
        .x_label_formatter(&|ns| time(*ns))
        .label_style((FONT, 13))
        .draw()
        .map_err(drawing)?;
    for (place, each) in measured.iter().enumerate() {
        let bottom = rows - place as f64 - 1.0;
        let colour = if each.name.starts_with("gotong") || each.name.starts_with("native") {
            PALETTE[0]
        } else {
            RGBColor(150, 150, 150)
        };
        chart
            .draw_series([Rectangle::new(
                [
                    (10.0, bottom + 0.15),
                    (each.p50_ns.max(10.0), bottom + 0.85),
                ],
                colour.filled(),
            )])
            .map_err(drawing)?;
        let at = chart.backend_coord(&(10.0, bottom + 0.65));
        let end = chart.backend_coord(&(each.p50_ns.max(10.0), bottom + 0.65));
        text(&area, &each.name, (12, at.1))?;
        text(&area, &time(each.p50_ns), (end.0 + 6, end.1))?;
    }
    area.present().map_err(drawing)
}

/// Curves over a growing size, both axes logarithmic.
///
/// # Errors
/// When the file cannot be written.
pub fn growth(file: &Path, title: &str, size: &str, points: &[Point]) -> Result<(), BenchError> {
    let names = points
        .first()
        .map(|point| &point.measured[..])
        .unwrap_or_default();
    let lines: Vec<Line> = names
        .iter()
        .enumerate()
        .map(|(place, named)| {
            let line = points
                .iter()
                .map(|point| (point.size as f64, point.measured[place].p50_ns))
                .collect();
            (named.name.clone(), line)
        })
        .collect();
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let (x, y) = (
        range(&lines, |point| point.0),
        range(&lines, |point| point.1),
    );
    let y = y.start / 2.0..y.end * 2.0;
    let mut chart = ChartBuilder::on(&filled(&area)?)
        .caption(title, (FONT, 18))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(x.log_scale(), y.log_scale())
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .x_desc(size)
        .y_desc("p50")
        .y_label_formatter(&|ns| time(*ns))
        .label_style((FONT, 13))
        .draw()
        .map_err(drawing)?;
    for ((name, line), colour) in lines.into_iter().zip(PALETTE.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))
            .map_err(drawing)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart
            .draw_series(
                line.into_iter()
                    .map(|at| Circle::new(at, 3, colour.filled())),
            )
            .map_err(drawing)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 13))
        .draw()
        .map_err(drawing)?;
    area.present().map_err(drawing)
}

/// The resident set over the number of loaded modules.
///
/// # Errors
/// When the file cannot be written.
pub fn memory(file: &Path, report: &memory::Report) -> Result<(), BenchError> {
    let line: Vec<(f64, f64)> = report
        .points
        .iter()
        .map(|point| (point.modules as f64, point.resident_kib as f64 / 1_024.0))
        .collect();
    let lines = [("resident".to_owned(), line.clone())];
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let title = format!("Resident memory, {:.0} KiB a module", report.kib_per_module);
    let mut chart = ChartBuilder::on(&filled(&area)?)
        .caption(title, (FONT, 18))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(
            0.0..range(&lines, |point| point.0).end,
            0.0..range(&lines, |point| point.1).end * 1.1,
        )
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .x_desc("modules loaded")
        .y_desc("MiB resident")
        .x_label_formatter(&|modules| format!("{modules:.0}"))
        .y_label_formatter(&|mib| format!("{mib:.0}"))
        .label_style((FONT, 13))
        .draw()
        .map_err(drawing)?;
    chart
        .draw_series(LineSeries::new(line.clone(), PALETTE[0].stroke_width(2)))
        .map_err(drawing)?;
    chart
        .draw_series(
            line.into_iter()
                .map(|at| Circle::new(at, 3, PALETTE[0].filled())),
        )
        .map_err(drawing)?;
    area.present().map_err(drawing)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn filled<'a>(area: &Area<'a>) -> Result<Area<'a>, BenchError> {
    area.fill(&WHITE).map_err(drawing)?;
    Ok(area.clone())
}

fn text(area: &Area<'_>, what: &str, at: (i32, i32)) -> Result<(), BenchError> {
    area.draw(&Text::new(what.to_owned(), at, (FONT, 13)))
        .map_err(drawing)
}

/// From the smallest to the largest.
fn range(lines: &[Line], pick: fn(&(f64, f64)) -> f64) -> Range<f64> {
    let values = || lines.iter().flat_map(|(_, line)| line).map(pick);
    values().fold(f64::INFINITY, f64::min)..values().fold(0.0, f64::max)
}

/// Nanoseconds in the unit that suits them.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1_000.0 => format!("{ns:.0} ns"),
        ns if ns < 1_000_000.0 => format!("{:.1} us", ns / 1_000.0),
        ns => format!("{:.1} ms", ns / 1_000_000.0),
    }
}

/// A drawing error need not be `Send`.
fn drawing(error: impl std::fmt::Display) -> BenchError {
    format!("a plot cannot be drawn: {error}").into()
}
