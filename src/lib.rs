//! jaquard: a stream transform pipeline for security audit logs.
pub mod cli;
pub mod config;
pub mod event;
pub mod jq;
pub mod sink;
pub mod source;
pub mod state;
pub mod testkit;
pub mod topology;
pub mod transform;
