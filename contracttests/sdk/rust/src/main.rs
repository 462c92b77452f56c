//! Takes the steps of the SDK scenario with the client that openapi-generator makes from openapi.yaml.
//!
//! It prints what the typed responses hold; judging them is the work of contracttests/sdk/run.
//!
//! - main.rs: the steps' input and output; steps.rs: the operations; webhooks.rs: the deliveries

use std::error::Error;

use mailstack::apis::configuration::Configuration;
use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::{json, Value};

mod steps;
mod webhooks;

/// What a step finds in a typed response, by the names of the scenario.
type Observed = Result<Value, Box<dyn Error>>;

#[derive(Deserialize)]
struct Scenario {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    input: Value,
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let scenario: Scenario = serde_json::from_str(&std::fs::read_to_string(std::env::var("MAILSTACK_SCENARIO")?)?)?;
    let mut steps = steps::Steps::default();
    for step in scenario.steps {
        let observed = match webhooks::take(&step.name, &step.input) {
            Some(observed) => observed?,
            None => steps.take(&step.name, &client_of(&step)?, &step.input).await?,
        };
        println!("{}", json!({"step": step.name, "observed": observed}));
    }
    Ok(())
}

fn client_of(step: &Step) -> Result<Configuration, std::env::VarError> {
    let (url, key) = match step.client.as_str() {
        "exhausted" => ("MAILSTACK_URL", "MAILSTACK_EXHAUSTED_API_KEY"),
        "future" => ("MAILSTACK_FUTURE_URL", "MAILSTACK_API_KEY"),
        _ => ("MAILSTACK_URL", "MAILSTACK_API_KEY"),
    };
    Ok(Configuration {
        base_path: std::env::var(url)?,
        bearer_access_token: Some(std::env::var(key)?),
        ..Configuration::new()
    })
}

/// Decodes the input of a step into the typed request.
fn read<T: DeserializeOwned>(input: &Value) -> serde_json::Result<T> {
    T::deserialize(input)
}

/// One member of every element, in order.
fn collect<E>(elements: &[E], member: impl Fn(&E) -> Value) -> Vec<Value> {
    elements.iter().map(member).collect()
}
