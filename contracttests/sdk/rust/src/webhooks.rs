//! The steps about what a webhook received.

use std::error::Error;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use hmac_sha256::HMAC;
use http::{HeaderMap, HeaderName};
use mailstack::models::{WebhookEmailEvent, WebhookEvent};
use serde_json::{json, Value};
use standardwebhooks::Webhook;

use crate::Observed;

/// Takes the step, if it is one of these.
pub fn take(name: &str, input: &Value) -> Option<Observed> {
    let taken = match name {
        "decode an event about a message" => email_event(input),
        "decode an event about a domain" => domain_event(input),
        "decode an event of a type and with members that are not in the document" => future_event(input),
        "verify what was delivered" => judged(input, is_signed),
        "refuse what was altered, is replayed or was signed by others" => judged(input, is_signed),
        "verify the HMAC of the body alone" => judged(input, is_authentic),
        _ => return None,
    };
    Some(taken)
}

/// The client names the types of events after the first event of each.
fn received(input: &Value) -> Result<WebhookEvent, Box<dyn Error>> {
    Ok(serde_json::from_str(text(&input["body"])?)?)
}

fn received_email(input: &Value) -> Result<WebhookEmailEvent, Box<dyn Error>> {
    match received(input)? {
        WebhookEvent::EmailSent(event) => Ok(*event),
        other => Err(format!("decoded as {other:?}").into()),
    }
}

fn email_event(input: &Value) -> Observed {
    let event = received_email(input)?;
    Ok(json!({
        "id": event.id, "type": event.r#type, "createdAt": event.created_at,
        "emailId": event.data.id, "fromEmail": event.data.from_email, "toEmail": event.data.to_email,
        "subject": event.data.subject, "tags": event.data.tags, "status": event.data.status,
        "errorMessage": event.data.error_message, "providerMessageId": event.data.provider_message_id,
        "bounceType": event.data.details.bounce_type,
    }))
}

fn domain_event(input: &Value) -> Observed {
    let event = match received(input)? {
        WebhookEvent::DomainVerified(event) => event,
        other => return Err(format!("decoded as {other:?}").into()),
    };
    Ok(json!({
        "id": event.id, "type": event.r#type, "createdAt": event.created_at,
        "domainId": event.data.id, "domain": event.data.domain, "status": event.data.status,
        "statusReason": event.data.status_reason,
    }))
}

fn future_event(input: &Value) -> Observed {
    let event = received_email(input)?;
    Ok(json!({
        "id": event.id, "type": event.r#type, "createdAt": event.created_at,
        "emailId": event.data.id, "toEmail": event.data.to_email, "subject": event.data.subject,
        "status": event.data.status,
    }))
}

fn judged(input: &Value, judge: fn(&Value) -> Result<bool, Box<dyn Error>>) -> Observed {
    let deliveries = input["deliveries"].as_array().ok_or("the input has no deliveries")?;
    let accepted = deliveries.iter().map(judge).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"accepted": accepted}))
}

fn is_signed(delivery: &Value) -> Result<bool, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    for (name, value) in delivery["headers"].as_object().ok_or("the delivery has no headers")? {
        headers.insert(HeaderName::try_from(name.as_str())?, text(value)?.parse()?);
    }
    let webhook = Webhook::new(text(&delivery["secret"])?)?;
    Ok(webhook.verify(text(&delivery["body"])?.as_bytes(), &headers).is_ok())
}

fn is_authentic(delivery: &Value) -> Result<bool, Box<dyn Error>> {
    let key = STANDARD.decode(text(&delivery["secret"])?.trim_start_matches("whsec_"))?;
    let given = text(&delivery["headers"]["X-MailStack-Signature"])?;
    let Some(given) = bytes(given) else { return Ok(false) };
    Ok(HMAC::verify(text(&delivery["body"])?, key, &given))
}

/// The bytes of hexadecimal text, if it is the HMAC of something.
fn bytes(hexadecimal: &str) -> Option<[u8; 32]> {
    let pairs =
        hexadecimal.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn text(value: &Value) -> Result<&str, Box<dyn Error>> {
    value.as_str().ok_or_else(|| format!("{value} is no text").into())
}
