//! Macros that only compute.

#[derive(Default, serde::Deserialize, serde::Serialize)]
pub struct Record {
    pub name: String,
    pub size: u64,
}

#[tokio::main(flavor = "current_thread")]
pub async fn answer() -> u64 {
    42
}
