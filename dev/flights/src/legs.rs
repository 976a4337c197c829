//! The input: all flights that left New York City in 2013, with scheduled and actual times (`nycflights13`, CC0).

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::{America, Tz};
use csv::StringRecord;

/// Where every leg starts.
const ORIGIN_ZONE: Tz = America::New_York;
/// Destinations that the data's table of airports lacks; all four keep Atlantic Standard Time.
const UNLISTED: [(&str, Tz); 4] = [
    ("BQN", America::Puerto_Rico),
    ("PSE", America::Puerto_Rico),
    ("SJU", America::Puerto_Rico),
    ("STT", America::St_Thomas),
];

/// One flight from one airport to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Two-character airline code.
    pub carrier: String,
    /// Flight number.
    pub flight: u32,
    /// IATA code.
    pub origin: String,
    /// IATA code.
    pub destination: String,
    /// Scheduled departure.
    pub planned_departure: DateTime<Utc>,
    /// Scheduled arrival.
    pub promised_arrival: DateTime<Utc>,
    /// `None`: the flight was cancelled.
    pub actual_departure: Option<DateTime<Utc>>,
    /// `None`: cancelled, diverted, or not known.
    pub actual_arrival: Option<DateTime<Utc>>,
}

impl Leg {
    /// What tells this leg from all others.
    #[must_use]
    pub fn identity(&self) -> String {
        let departure = self.planned_departure.format("%Y%m%dT%H%MZ");
        format!(
            "{}{}-{}-{}-{departure}",
            self.carrier, self.flight, self.origin, self.destination
        )
    }

    /// The day of the scheduled departure, where it departs.
    #[must_use]
    pub fn local_date(&self) -> NaiveDate {
        self.planned_departure.with_timezone(&ORIGIN_ZONE).date_naive()
    }

    /// Minutes late at the destination; negative is early.
    #[must_use]
    pub fn arrival_delay(&self) -> Option<i64> {
        self.actual_arrival
            .map(|arrival| (arrival - self.promised_arrival).num_minutes())
    }
}

/// Reads the first `count` legs by scheduled departure from the package's data folder.
pub fn first_legs(data: &Path, count: usize) -> Result<Vec<Leg>> {
    let mut legs = all_legs(data)?;
    ensure!(
        legs.len() >= count,
        "--legs {count}: the data holds {} legs",
        legs.len()
    );
    legs.truncate(count);
    Ok(legs)
}

/// Reads all legs by scheduled departure from the package's data folder.
pub fn all_legs(data: &Path) -> Result<Vec<Leg>> {
    let path = data.join("airports.csv");
    let zones = zones(open(&path)?).with_context(|| format!("read {}", path.display()))?;
    let path = data.join("flights.csv.zip");
    let mut archive =
        zip::ZipArchive::new(open(&path)?).with_context(|| format!("open {}", path.display()))?;
    let mut file = archive.by_name("flights.csv")?;
    let mut table = String::new();
    file.read_to_string(&mut table)
        .with_context(|| format!("unpack {}", path.display()))?;
    let mut legs = legs(&table, &zones).with_context(|| format!("read {}", path.display()))?;
    legs.sort_by_cached_key(|leg| (leg.planned_departure, leg.identity()));
    Ok(legs)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("open {}; `make cluster` fetches it", path.display()))
}

/// Finds columns by name.
struct Columns(HashMap<String, usize>);

impl Columns {
    fn of(header: &StringRecord) -> Self {
        Self(
            header
                .iter()
                .enumerate()
                .map(|(index, name)| (name.to_owned(), index))
                .collect(),
        )
    }

    fn text<'r>(&self, row: &'r StringRecord, name: &str) -> Result<&'r str> {
        let index = self.0.get(name).with_context(|| format!("no column {name}"))?;
        row.get(*index)
            .with_context(|| format!("column {name} is missing in {row:?}"))
    }

    fn number<T: std::str::FromStr>(&self, row: &StringRecord, name: &str) -> Result<T> {
        let text = self.text(row, name)?;
        text.parse()
            .map_err(|_| anyhow!("column {name}: {text:?} is not a number"))
    }

    /// A number of minutes, or nothing where the data has none.
    fn minutes(&self, row: &StringRecord, name: &str) -> Result<Option<Duration>> {
        match self.text(row, name)? {
            "" | "NA" => Ok(None),
            _ => Ok(Some(Duration::minutes(self.number(row, name)?))),
        }
    }
}

fn zones(airports: impl Read) -> Result<HashMap<String, Tz>> {
    let mut reader = csv::Reader::from_reader(airports);
    let columns = Columns::of(reader.headers()?);
    let mut zones: HashMap<String, Tz> = UNLISTED.map(|(code, zone)| (code.to_owned(), zone)).into();
    for row in reader.records() {
        let row = row?;
        // Some airports have none; a flight to one is an error where it is met.
        if let Ok(zone) = columns.text(&row, "tzone")?.parse() {
            zones.insert(columns.text(&row, "faa")?.to_owned(), zone);
        }
    }
    Ok(zones)
}

fn legs(table: &str, zones: &HashMap<String, Tz>) -> Result<Vec<Leg>> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let columns = Columns::of(reader.headers()?);
    let mut legs = Vec::with_capacity(340_000);
    let mut row = StringRecord::new();
    while reader.read_record(&mut row)? {
        legs.push(leg(&columns, &row, zones).with_context(|| format!("line {}", reader.position().line()))?);
    }
    Ok(legs)
}

fn leg(columns: &Columns, row: &StringRecord, zones: &HashMap<String, Tz>) -> Result<Leg> {
    let destination = columns.text(row, "dest")?;
    let zone = *zones
        .get(destination)
        .with_context(|| format!("no time zone for airport {destination}"))?;
    let (year, month, day) = (
        columns.number(row, "year")?,
        columns.number(row, "month")?,
        columns.number(row, "day")?,
    );
    let date =
        NaiveDate::from_ymd_opt(year, month, day).with_context(|| format!("no date {year}-{month}-{day}"))?;
    let planned_departure = local(date, columns.number(row, "sched_dep_time")?, ORIGIN_ZONE)?;
    let promised_arrival = next(planned_departure, columns.number(row, "sched_arr_time")?, zone)?;
    let actual_departure = columns
        .minutes(row, "dep_delay")?
        .map(|delay| planned_departure + delay);
    let actual_arrival = columns
        .minutes(row, "arr_delay")?
        .map(|delay| promised_arrival + delay);
    Ok(Leg {
        carrier: columns.text(row, "carrier")?.to_owned(),
        flight: columns.number(row, "flight")?,
        origin: columns.text(row, "origin")?.to_owned(),
        destination: destination.to_owned(),
        planned_departure,
        promised_arrival,
        actual_departure,
        // An arrival is of use only after a departure.
        actual_arrival: actual_arrival
            .filter(|arrival| actual_departure.is_some_and(|departure| departure < *arrival)),
    })
}

/// A wall-clock time written as a number, for example 517 for 05:17; 2400 is the end of the day.
fn local(date: NaiveDate, clock: u32, zone: Tz) -> Result<DateTime<Utc>> {
    let (date, clock) = if clock == 2400 {
        (date + Days::new(1), 0)
    } else {
        (date, clock)
    };
    let time =
        NaiveTime::from_hms_opt(clock / 100, clock % 100, 0).with_context(|| format!("no time {clock}"))?;
    let local = zone.from_local_datetime(&date.and_time(time));
    // A time that a clock change skips: an hour later, as a clock shows that was not moved.
    let time = local.earliest().or_else(|| {
        zone.from_local_datetime(&(date.and_time(time) + Duration::hours(1)))
            .earliest()
    });
    Ok(time
        .with_context(|| format!("no time {clock} on {date} in {zone}"))?
        .to_utc())
}

/// The first moment after `start` at which clocks in `zone` show `clock`: no leg takes a day.
fn next(start: DateTime<Utc>, clock: u32, zone: Tz) -> Result<DateTime<Utc>> {
    let date = start.with_timezone(&zone).date_naive();
    for date in [date, date + Days::new(1)] {
        let moment = local(date, clock, zone)?;
        if moment > start {
            return Ok(moment);
        }
    }
    Err(anyhow!("no time {clock} in {zone} within a day of {start}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "year,month,day,sched_dep_time,dep_delay,sched_arr_time,arr_delay,carrier,flight,origin,dest";

    fn one(line: &str) -> Leg {
        let zones = zones(
            "faa,tzone\nIAH,America/Chicago\nLAX,America/Los_Angeles\nHNL,Pacific/Honolulu\n".as_bytes(),
        );
        legs(&format!("{HEADER}\n{line}\n"), &zones.unwrap())
            .unwrap()
            .remove(0)
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn local_times_become_moments() {
        let leg = one("2013,1,1,515,2,819,11,UA,1545,EWR,IAH");
        assert_eq!(leg.planned_departure, at("2013-01-01T10:15:00Z"));
        assert_eq!(leg.promised_arrival, at("2013-01-01T14:19:00Z"));
        assert_eq!(leg.actual_departure, Some(at("2013-01-01T10:17:00Z")));
        assert_eq!(leg.actual_arrival, Some(at("2013-01-01T14:30:00Z")));
        assert_eq!(leg.arrival_delay(), Some(11));
        assert_eq!(leg.identity(), "UA1545-EWR-IAH-20130101T1015Z");
        assert_eq!(leg.local_date(), NaiveDate::from_ymd_opt(2013, 1, 1).unwrap());
    }

    #[test]
    fn an_arrival_after_midnight_is_on_the_next_day() {
        let leg = one("2013,7,1,2145,,30,,UA,1,EWR,LAX");
        assert_eq!(leg.planned_departure, at("2013-07-02T01:45:00Z"));
        assert_eq!(leg.promised_arrival, at("2013-07-02T07:30:00Z"));
        assert_eq!(leg.local_date(), NaiveDate::from_ymd_opt(2013, 7, 1).unwrap());
        assert_eq!((leg.actual_departure, leg.actual_arrival), (None, None));
        // Atlantic Standard Time has no summer time.
        let leg = one("2013,7,1,2359,5,344,-7,B6,839,JFK,SJU");
        assert_eq!(leg.promised_arrival, at("2013-07-02T07:44:00Z"));
    }

    #[test]
    fn a_wrong_row_names_line_column_and_value() {
        let table = format!("{HEADER}\n2013,1,1,515,2,819,soon,UA,1545,EWR,SJU\n");
        let error = format!(
            "{:#}",
            legs(&table, &zones("faa,tzone\n".as_bytes()).unwrap()).unwrap_err()
        );
        assert!(
            error.contains("arr_delay") && error.contains("soon") && error.contains("line"),
            "{error}"
        );
    }
}
