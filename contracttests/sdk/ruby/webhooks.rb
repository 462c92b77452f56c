# The steps about what a webhook received. Debian has no library of Standard Webhooks for Ruby, so that the signature is
# verified by hand, as the specification of Standard Webhooks 1.0 says.

require 'openssl'

module Webhooks
  include MailStack

  # TOLERANCE is how many seconds a signature may be old, or in the future.
  TOLERANCE = 300

  def self.steps
    {
      'decode an event about a message' => ->(_client, input) { email_event(input) },
      'decode an event about a domain' => ->(_client, input) { domain_event(input) },
      'decode an event of a type and with members that are not in the document' => ->(_client, input) { future_event(input) },
      'verify what was delivered' => ->(_client, input) { judged(input) { |delivery| signed?(delivery) } },
      'refuse what was altered, is replayed or was signed by others' =>
        ->(_client, input) { judged(input) { |delivery| signed?(delivery) } },
      'verify the HMAC of the body alone' => ->(_client, input) { judged(input) { |delivery| authentic?(delivery) } }
    }
  end

  def self.email_event(input)
    event = WebhookEvent.build(parsed(input))
    raise "decoded as #{event.class}" unless event.is_a?(WebhookEmailEvent)

    {
      id: event.id, type: event.type, createdAt: event.created_at, emailId: event.data.id,
      fromEmail: event.data.from_email, toEmail: event.data.to_email, subject: event.data.subject,
      tags: event.data.tags, status: event.data.status, errorMessage: event.data.error_message,
      providerMessageId: event.data.provider_message_id, bounceType: bounce_type(event.data.details)
    }
  end

  def self.bounce_type(details)
    details.is_a?(Hash) ? details['bounceType'] : details.bounce_type
  end

  def self.domain_event(input)
    event = WebhookEvent.build(parsed(input))
    raise "decoded as #{event.class}" unless event.is_a?(WebhookDomainEvent)

    {
      id: event.id, type: event.type, createdAt: event.created_at, domainId: event.data.id, domain: event.data.domain,
      status: event.data.status, statusReason: event.data.status_reason
    }
  end

  # It is decoded by the type that is asked for: WebhookEvent knows no other for it.
  def self.future_event(input)
    event = WebhookEmailEvent.build_from_hash(parsed(input))
    {
      id: event.id, type: event.type, createdAt: event.created_at, emailId: event.data.id,
      toEmail: event.data.to_email, subject: event.data.subject, status: event.data.status
    }
  end

  def self.parsed(input)
    JSON.parse(input[:body], symbolize_names: true)
  end

  def self.judged(input, &judge)
    { accepted: input[:deliveries].map(&judge) }
  end

  def self.signed?(delivery)
    id, timestamp, signatures = %i[webhook-id webhook-timestamp webhook-signature].map { |name| delivery[:headers][name] }
    return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE

    code = OpenSSL::HMAC.digest('SHA256', key(delivery), "#{id}.#{timestamp}.#{delivery[:body]}")
    signatures.split.any? do |signature|
      version, given = signature.split(',')
      version == 'v1' && OpenSSL.secure_compare(given, [code].pack('m0'))
    end
  end

  def self.authentic?(delivery)
    code = OpenSSL::HMAC.hexdigest('SHA256', key(delivery), delivery[:body])
    OpenSSL.secure_compare(code, delivery[:headers][:'X-MailStack-Signature'])
  end

  def self.key(delivery)
    delivery[:secret].delete_prefix('whsec_').unpack1('m')
  end
end
