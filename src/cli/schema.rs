//! `jaquard schema`.

use super::{exit, print};

pub(super) fn schema() -> anyhow::Result<u8> {
    let schema = crate::topology::pipeline_schema();
    print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))?;
    Ok(exit::DONE)
}
