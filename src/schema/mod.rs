//! What events should look like, and whether they do.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ocsf`] | OCSF: tables of two versions, compiled schemas, the validator |

pub mod ocsf;
