//! A few of the faults of `make faults`, in short.

use std::path::Path;

use anyhow::Result;
use dev_faults::{Extent, Fault, Row, Servers, run};

const FAULTS: [Fault; 6] = [
    Fault::RelayKilledBeforeMark,
    Fault::RelaysRace,
    Fault::ConsumerKilledBeforeCommit,
    Fault::DatabaseCutOff,
    Fault::RecordsRepeated,
    Fault::PoisonedRecords,
];
const EXTENT: Extent = Extent {
    changes: 500,
    rate: 400,
    most_times: 2,
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_no_effect_is_there_twice() -> Result<()> {
    let servers = Servers::start().await?;
    let logistics = Path::new(env!("CARGO_BIN_EXE_logistics"));
    let rows = run(&servers, logistics, &FAULTS, EXTENT, |row| println!("{row}")).await?;
    for row in &rows {
        assert!(row.clean(), "{row:?}");
        assert!(row.injected >= EXTENT.most_times, "{row:?}");
        assert!(row.findings.acknowledged >= EXTENT.changes, "{row:?}");
    }
    // The fault was there: what the relay had sent and could not mark came again.
    let again = |row: &&Row| row.fault == Fault::RelayKilledBeforeMark && row.findings.log_duplicates > 0;
    assert_eq!(rows.iter().filter(again).count(), 1, "{rows:?}");
    Ok(())
}
