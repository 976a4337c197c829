//! The plot: error by month, share within the interval by week, reliability of the risk, and the distribution of errors.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use chrono::Datelike as _;
use logistics_domain::history::COVERAGE;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::replay::Flown;
use crate::report::{Forecast, TEST_FROM, reliability};
use crate::score::{count, mean, quantile, share, sorted};

const SIZE: (u32, u32) = (1_200, 860);
/// Okabe and Ito's colours, which colour-blind people can tell apart.
const COLOURS: [RGBColor; 4] = [
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 114, 178),
];
/// Errors beyond are not drawn.
const LONGEST_ERROR: f64 = 60.0;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A named line.
struct Line {
    name: String,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// A panel: its title, its axes, its lines, and where it has room for their names.
struct Chart<'t> {
    title: &'t str,
    x: (&'t str, f64, f64),
    y: (&'t str, f64, f64),
    lines: Vec<Line>,
    legend: SeriesLabelPosition,
}

/// Draws what was foretold of `flown`, and what happened, into an SVG file.
pub fn write(path: &Path, flown: &[Flown]) -> Result<()> {
    let text = svg(flown)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn svg(flown: &[Flown]) -> Result<String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|error| anyhow!("draw: {error}"))?;
        let charts = [by_month(flown), by_week(flown), by_risk(flown), by_error(flown)];
        for (panel, chart) in root.split_evenly((2, 2)).iter().zip(charts) {
            draw(panel, &chart).map_err(|error| anyhow!("draw {}: {error}", chart.title))?;
        }
        root.present().map_err(|error| anyhow!("draw: {error}"))?;
    }
    text.push('\n');
    Ok(text)
}

fn draw(
    panel: &Panel<'_>,
    chart: &Chart<'_>,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let ((x_name, x_low, x_high), (y_name, y_low, y_high)) = (chart.x, chart.y);
    let mut context = ChartBuilder::on(panel)
        .caption(chart.title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(x_low..x_high, y_low..y_high)?;
    context
        .configure_mesh()
        .x_desc(x_name)
        .y_desc(y_name)
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()?;
    for line in &chart.lines {
        let style = line.colour.stroke_width(2);
        context
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    context
        .configure_series_labels()
        .position(chart.legend.clone())
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 13))
        .draw()
}

fn forecasts() -> impl Iterator<Item = (Forecast, RGBColor)> {
    Forecast::ALL.into_iter().zip(COLOURS)
}

fn by_month(flown: &[Flown]) -> Chart<'static> {
    let line = |(forecast, colour): (Forecast, RGBColor)| {
        let point = |month: u32| {
            let errors: Vec<f64> = flown
                .iter()
                .filter(|one| one.month == month)
                .map(|one| (one.delay - forecast.estimate(one)).abs())
                .collect();
            (f64::from(month), mean(&errors, |error| *error))
        };
        Line {
            name: forecast.name().to_owned(),
            colour,
            points: (1..=12).map(point).collect(),
        }
    };
    Chart {
        title: "Mean absolute error (October to December count)",
        x: ("month of 2013", 1.0, 12.0),
        y: ("minutes", 0.0, 50.0),
        lines: forecasts().map(line).collect(),
        legend: SeriesLabelPosition::UpperRight,
    }
}

fn by_week(flown: &[Flown]) -> Chart<'static> {
    let covered = |wanted: Forecast| {
        let mut weeks: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        for one in flown {
            let estimate = match wanted {
                Forecast::AtCreation => one.at_creation.estimate,
                _ => one.in_transit.estimate,
            };
            let week = one.arrived.ordinal0() / 7;
            weeks.entry(week).or_default().push(estimate.covers(one.delay));
        }
        weeks
            .into_iter()
            .filter(|(week, _)| *week < 52)
            .map(|(week, held)| (f64::from(week + 1), share(&held, |held| *held)))
            .collect()
    };
    let line = |(forecast, colour): (Forecast, RGBColor)| Line {
        name: forecast.name().to_owned(),
        colour,
        points: covered(forecast),
    };
    let models =
        forecasts().filter(|(forecast, _)| matches!(forecast, Forecast::AtCreation | Forecast::InTransit));
    let mut lines: Vec<Line> = models.map(line).collect();
    lines.push(Line {
        name: "nine of ten".to_owned(),
        colour: BLACK,
        points: vec![(1.0, COVERAGE), (52.0, COVERAGE)],
    });
    Chart {
        title: "Share of arrivals within the 90 % interval",
        x: ("week of 2013", 1.0, 52.0),
        y: ("share", 0.6, 1.0),
        lines,
        legend: SeriesLabelPosition::LowerRight,
    }
}

fn by_risk(flown: &[Flown]) -> Chart<'static> {
    let line = |(forecast, colour): (Forecast, RGBColor)| Line {
        name: forecast.name().to_owned(),
        colour,
        points: reliability(&forecast.cases(flown))
            .into_iter()
            .map(|one| (one.foretold, one.late))
            .collect(),
    };
    let models =
        forecasts().filter(|(forecast, _)| matches!(forecast, Forecast::AtCreation | Forecast::InTransit));
    let mut lines: Vec<Line> = models.map(line).collect();
    lines.push(Line {
        name: "as foretold".to_owned(),
        colour: BLACK,
        points: vec![(0.0, 0.0), (1.0, 1.0)],
    });
    Chart {
        title: "Risk of being over 15 minutes late, October to December",
        x: ("foretold, tenths of the shipments", 0.0, 1.0),
        y: ("share that was late", 0.0, 1.0),
        lines,
        legend: SeriesLabelPosition::LowerRight,
    }
}

fn by_error(flown: &[Flown]) -> Chart<'static> {
    let tested: Vec<&Flown> = flown.iter().filter(|one| one.month >= TEST_FROM).collect();
    let line = |(forecast, colour): (Forecast, RGBColor)| {
        let errors = tested
            .iter()
            .map(|one| (one.delay - forecast.estimate(one)).abs());
        let errors = sorted(errors);
        let point = |percent: usize| {
            let part = count(percent) / 100.0;
            (quantile(&errors, part), part)
        };
        Line {
            name: forecast.name().to_owned(),
            colour,
            points: (0..=100)
                .map(point)
                .take_while(|(error, _)| *error <= LONGEST_ERROR)
                .collect(),
        }
    };
    Chart {
        title: "Errors of at most so many minutes, October to December",
        x: ("minutes", 0.0, LONGEST_ERROR),
        y: ("share of arrivals", 0.0, 1.0),
        lines: forecasts().map(line).collect(),
        legend: SeriesLabelPosition::LowerRight,
    }
}
