//! What events should look like, and whether they do.
//!
//! | module | what it holds |
//! |---|---|
//! | [`log_type`] | log type schemas: fields, types, indicators, and events held against them |
//! | [`ocsf`] | OCSF: tables of two versions, compiled schemas, the validator |

pub mod log_type;
mod names;
pub mod ocsf;
