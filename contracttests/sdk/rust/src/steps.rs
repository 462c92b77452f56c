//! The steps that call an operation.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use mailstack::apis::api_keys_api::{self, CreateApiKeySuccess, ListApiKeysSuccess};
use mailstack::apis::billing_api::{self, GetUsageSuccess};
use mailstack::apis::configuration::Configuration;
use mailstack::apis::domains_api::{self, CreateDomainError, CreateDomainSuccess};
use mailstack::apis::domains_api::{GetDomainSuccess, ListDomainsSuccess, VerifyDomainSuccess};
use mailstack::apis::emails_api::{self, GetEmailError, GetEmailSuccess};
use mailstack::apis::emails_api::{SendBatchSuccess, SendEmailError, SendEmailSuccess};
use mailstack::apis::{Error, ResponseContent};
use mailstack::models::{Email, EmailStatus, Problem};
use serde_json::{json, Value};

use crate::{collect, read, Observed};

const SENT_LIMIT: Duration = Duration::from_secs(120);

/// What a later step needs from an earlier one.
#[derive(Default)]
pub struct Steps {
    domain: String,
    email: String,
    key: String,
}

impl Steps {
    pub async fn take(&mut self, name: &str, client: &Configuration, input: &Value) -> Observed {
        match name {
            "register a domain" => self.register_domain(client, input).await,
            "be refused the same domain again (409)" => refused_domain(client, input).await,
            "list the domains" => list_domains(client).await,
            "get the domain" => self.get_domain(client).await,
            "verify the domain" => self.verify_domain(client).await,
            "send an email" => self.send(client, input).await,
            "send a batch with one rejected item" => send_batch(client, input).await,
            "read the email back until it is sent" => self.read_back(client).await,
            "create a key" => self.create_key(client, input).await,
            "revoke the key" => self.revoke_key(client).await,
            "list the keys" => list_keys(client).await,
            "read the usage" => usage(client).await,
            "be refused an address that is none (400)" => refused_send(client, input).await,
            "be refused without an allowance (402)" => refused_send(client, input).await,
            "be refused an email that is not there (404)" => refused_read(client, input).await,
            "delete the domain" => self.delete_domain(client).await,
            "decode an answer with members and values that are not in the document" => {
                future_email(client, input).await
            }
            "decode a problem with a status and a code that are not in the document" => {
                refused_read(client, input).await
            }
            _ => Err(format!("the runner lacks the step {name}").into()),
        }
    }

    async fn register_domain(&mut self, client: &Configuration, input: &Value) -> Observed {
        let answer = domains_api::create_domain(client, read(input)?, None).await?;
        let Some(CreateDomainSuccess::Status201(domain)) = answer.entity else {
            return undecoded(&answer.content);
        };
        self.domain = domain.id.to_string();
        Ok(json!({
            "http": answer.status.as_u16(), "id": domain.id, "domain": domain.domain, "status": domain.status,
            "customMailFromDomain": domain.custom_mail_from_domain,
            "recordTypes": collect(&domain.dns_records, |record| json!(record.r#type)),
            "recordPurposes": collect(&domain.dns_records, |record| json!(record.purpose)),
            "recordTtls": collect(&domain.dns_records, |record| json!(record.ttl)),
            "verifiedAt": domain.verified_at, "createdAt": domain.created_at,
        }))
    }

    async fn get_domain(&self, client: &Configuration) -> Observed {
        let answer = domains_api::get_domain(client, &self.domain).await?;
        let Some(GetDomainSuccess::Status200(domain)) = answer.entity else {
            return undecoded(&answer.content);
        };
        Ok(json!({
            "http": answer.status.as_u16(), "id": domain.id, "domain": domain.domain, "status": domain.status,
        }))
    }

    async fn verify_domain(&self, client: &Configuration) -> Observed {
        let answer = domains_api::verify_domain(client, &self.domain).await?;
        let Some(VerifyDomainSuccess::Status200(domain)) = answer.entity else {
            return undecoded(&answer.content);
        };
        Ok(json!({
            "http": answer.status.as_u16(), "id": domain.id, "status": domain.status,
            "statusReason": domain.status_reason, "verifiedAt": domain.verified_at,
            "recordStatuses": collect(&domain.dns_records, |record| json!(record.status)),
        }))
    }

    async fn delete_domain(&self, client: &Configuration) -> Observed {
        let answer = domains_api::delete_domain(client, &self.domain).await?;
        Ok(json!({"http": answer.status.as_u16()}))
    }

    async fn send(&mut self, client: &Configuration, input: &Value) -> Observed {
        let answer = emails_api::send_email(client, read(input)?, None).await?;
        let Some(SendEmailSuccess::Status202(queued)) = answer.entity else {
            return undecoded(&answer.content);
        };
        self.email = queued.id.to_string();
        Ok(json!({"http": answer.status.as_u16(), "id": queued.id, "status": queued.status}))
    }

    async fn read_back(&self, client: &Configuration) -> Observed {
        let began = Instant::now();
        loop {
            let (http, email) = get_email(client, &self.email).await?;
            if email.status != EmailStatus::Queued {
                return Ok(message(http, &email));
            }
            if began.elapsed() > SENT_LIMIT {
                return Err("the message is still queued".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn create_key(&mut self, client: &Configuration, input: &Value) -> Observed {
        let answer = api_keys_api::create_api_key(client, read(input)?).await?;
        let Some(CreateApiKeySuccess::Status201(created)) = answer.entity else {
            return undecoded(&answer.content);
        };
        let key = &created.key;
        self.key = key.id.to_string();
        Ok(json!({
            "http": answer.status.as_u16(), "id": key.id, "name": key.name, "scopes": key.scopes,
            "expiresAt": key.expires_at, "lastUsedAt": key.last_used_at, "isActive": key.is_active,
            "maskedKey": key.masked_key, "fullKey": created.full_key,
        }))
    }

    async fn revoke_key(&self, client: &Configuration) -> Observed {
        let answer = api_keys_api::revoke_api_key(client, &self.key).await?;
        Ok(json!({"http": answer.status.as_u16()}))
    }
}

async fn list_domains(client: &Configuration) -> Observed {
    let answer = domains_api::list_domains(client).await?;
    let Some(ListDomainsSuccess::Status200(domains)) = answer.entity else {
        return undecoded(&answer.content);
    };
    Ok(json!({
        "http": answer.status.as_u16(),
        "domains": collect(&domains, |domain| json!(domain.domain)),
        "ids": collect(&domains, |domain| json!(domain.id)),
    }))
}

async fn refused_domain(client: &Configuration, input: &Value) -> Observed {
    refused(domains_api::create_domain(client, read(input)?, None).await, |error| match error {
        CreateDomainError::Status400(problem) => Some(problem),
        _ => None,
    })
}

async fn send_batch(client: &Configuration, input: &Value) -> Observed {
    let answer = emails_api::send_batch(client, read(input)?, None).await?;
    let Some(SendBatchSuccess::Status202(result)) = answer.entity else {
        return undecoded(&answer.content);
    };
    let items = &result.results;
    Ok(json!({
        "http": answer.status.as_u16(), "accepted": result.accepted, "rejected": result.rejected,
        "indexes": collect(items, |item| json!(item.index)),
        "statuses": collect(items, |item| json!(item.status)),
        "ids": collect(items, |item| json!(item.id)),
        "codes": collect(items, |item| json!(item.code)),
        "errors": collect(items, |item| json!(item.error)),
        "pointers": collect(items, |item| {
            json!(collect(item.errors.as_deref().unwrap_or_default(), |one| json!(one.pointer)))
        }),
    }))
}

async fn get_email(client: &Configuration, id: &str) -> Result<(u16, Email), Box<dyn StdError>> {
    let answer = emails_api::get_email(client, id).await?;
    match answer.entity {
        Some(GetEmailSuccess::Status200(email)) => Ok((answer.status.as_u16(), email)),
        _ => undecoded(&answer.content),
    }
}

fn message(http: u16, email: &Email) -> Value {
    json!({
        "http": http, "id": email.id, "fromEmail": email.from_email, "fromName": email.from_name, "cc": email.cc,
        "replyTo": email.reply_to, "subject": email.subject, "status": email.status, "tags": email.tags,
        "providerMessageId": email.provider_message_id, "errorMessage": email.error_message, "sentAt": email.sent_at,
        "recipientEmails": collect(&email.recipients, |one| json!(one.email)),
        "recipientKinds": collect(&email.recipients, |one| json!(one.kind)),
        "recipientStatuses": collect(&email.recipients, |one| json!(one.status)),
    })
}

async fn future_email(client: &Configuration, input: &Value) -> Observed {
    let (http, email) = get_email(client, &read::<Given>(input)?.id).await?;
    Ok(json!({
        "http": http, "id": email.id, "subject": email.subject, "status": email.status,
        "recipientEmails": collect(&email.recipients, |one| json!(one.email)),
        "recipientKinds": collect(&email.recipients, |one| json!(one.kind)),
        "recipientStatuses": collect(&email.recipients, |one| json!(one.status)),
    }))
}

async fn list_keys(client: &Configuration) -> Observed {
    let answer = api_keys_api::list_api_keys(client, None).await?;
    let Some(ListApiKeysSuccess::Status200(keys)) = answer.entity else {
        return undecoded(&answer.content);
    };
    Ok(json!({
        "http": answer.status.as_u16(),
        "names": collect(&keys, |key| json!(key.name)),
        "active": collect(&keys, |key| json!(key.is_active)),
        "revokedAt": collect(&keys, |key| json!(key.revoked_at)),
        "expiresAt": collect(&keys, |key| json!(key.expires_at)),
    }))
}

async fn usage(client: &Configuration) -> Observed {
    let answer = billing_api::get_usage(client).await?;
    let Some(GetUsageSuccess::Status200(usage)) = answer.entity else {
        return undecoded(&answer.content);
    };
    Ok(json!({
        "http": answer.status.as_u16(), "periodKey": usage.period_key, "periodStart": usage.period_start,
        "emailsSent": usage.emails_sent, "freeMonthlyAllowance": usage.free_monthly_allowance,
        "freeRemaining": usage.free_remaining, "billableEmails": usage.billable_emails,
        "pricePer1kCents": usage.price_per1k_cents, "hasPaymentMethod": usage.has_payment_method,
        "monthlySpendCapCents": usage.monthly_spend_cap_cents,
    }))
}

async fn refused_send(client: &Configuration, input: &Value) -> Observed {
    refused(emails_api::send_email(client, read(input)?, None).await, |error| match error {
        SendEmailError::Status400(problem) => Some(problem),
        _ => None,
    })
}

async fn refused_read(client: &Configuration, input: &Value) -> Observed {
    refused(emails_api::get_email(client, &read::<Given>(input)?.id).await, |error| match error {
        GetEmailError::Status400(problem) => Some(problem),
        _ => None,
    })
}

/// The contents of a typed problem. The client decodes a refusal as the first status that fits; a problem fits them all,
/// also where the document does not list the status.
fn refused<S, E: Debug + 'static>(
    answer: Result<ResponseContent<S>, Error<E>>,
    first: fn(E) -> Option<Problem>,
) -> Observed {
    let refusal = match answer {
        Err(Error::ResponseError(refusal)) => refusal,
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("the request was not refused".into()),
    };
    let Some(problem) = refusal.entity.and_then(first) else {
        return undecoded(&refusal.content);
    };
    Ok(json!({
        "http": refusal.status.as_u16(), "status": problem.status, "type": problem.r#type, "code": problem.code,
        "title": problem.title, "detail": problem.detail, "requestId": problem.request_id,
        "pointers": collect(problem.errors.as_deref().unwrap_or_default(), |one| json!(one.pointer)),
    }))
}

/// The message that an input names.
#[derive(serde::Deserialize)]
struct Given {
    id: String,
}

fn undecoded<T>(content: &str) -> Result<T, Box<dyn StdError>> {
    Err(format!("not decoded: {content}").into())
}
