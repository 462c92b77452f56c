# Takes the steps of the SDK scenario with the client that openapi-generator makes from openapi.yaml.
#
# It prints what the typed responses hold; judging them is the work of contracttests/sdk/run.

require 'json'
require 'mailstack'
require_relative 'webhooks'

SENT_LIMIT_SECONDS = 30

# Steps holds what a later step needs from an earlier one.
class Steps
  include MailStack

  def all
    {
      'register a domain' => method(:register_domain),
      'be refused the same domain again (409)' => method(:refused_domain),
      'list the domains' => method(:list_domains),
      'get the domain' => method(:get_domain),
      'verify the domain' => method(:verify_domain),
      'send an email' => method(:send_email),
      'send a batch with one rejected item' => method(:send_batch),
      'read the email back until it is sent' => method(:read_back),
      'create a key' => method(:create_key),
      'revoke the key' => method(:revoke_key),
      'list the keys' => method(:list_keys),
      'read the usage' => method(:usage),
      'be refused an address that is none (400)' => method(:refused_send),
      'be refused without an allowance (402)' => method(:refused_send),
      'be refused an email that is not there (404)' => method(:refused_read),
      'delete the domain' => method(:delete_domain),
      'decode an answer with members and values that are not in the document' => method(:future_email),
      'decode a problem with a status and a code that are not in the document' => method(:refused_read)
    }.merge(Webhooks.steps)
  end

  def register_domain(client, input)
    domain, status = DomainsApi.new(client).create_domain_with_http_info(CreateDomainRequest.build_from_hash(input))
    @domain = domain.id
    {
      http: status, id: domain.id, domain: domain.domain, status: domain.status,
      customMailFromDomain: domain.custom_mail_from_domain,
      recordTypes: domain.dns_records.map(&:type), recordPurposes: domain.dns_records.map(&:purpose),
      recordTtls: domain.dns_records.map(&:ttl), verifiedAt: domain.verified_at, createdAt: domain.created_at
    }
  end

  def refused_domain(client, input)
    refused { DomainsApi.new(client).create_domain_with_http_info(CreateDomainRequest.build_from_hash(input)) }
  end

  def list_domains(client, _input)
    domains, status = DomainsApi.new(client).list_domains_with_http_info
    { http: status, domains: domains.map(&:domain), ids: domains.map(&:id) }
  end

  def get_domain(client, _input)
    domain, status = DomainsApi.new(client).get_domain_with_http_info(@domain)
    { http: status, id: domain.id, domain: domain.domain, status: domain.status }
  end

  def verify_domain(client, _input)
    domain, status = DomainsApi.new(client).verify_domain_with_http_info(@domain)
    {
      http: status, id: domain.id, status: domain.status, statusReason: domain.status_reason,
      verifiedAt: domain.verified_at, recordStatuses: domain.dns_records.map(&:status)
    }
  end

  def delete_domain(client, _input)
    _, status = DomainsApi.new(client).delete_domain_with_http_info(@domain)
    { http: status }
  end

  def send_email(client, input)
    queued, status = EmailsApi.new(client).send_email_with_http_info(SendEmailRequest.build_from_hash(input))
    @email = queued.id
    { http: status, id: queued.id, status: queued.status }
  end

  def refused_send(client, input)
    refused { EmailsApi.new(client).send_email_with_http_info(SendEmailRequest.build_from_hash(input)) }
  end

  def send_batch(client, input)
    result, status = EmailsApi.new(client).send_batch_with_http_info(SendBatchRequest.build_from_hash(input))
    items = result.results
    {
      http: status, accepted: result.accepted, rejected: result.rejected,
      indexes: items.map(&:index), statuses: items.map(&:status), ids: items.map(&:id), codes: items.map(&:code),
      errors: items.map(&:error), pointers: items.map { |item| (item.errors || []).map(&:pointer) }
    }
  end

  def read_back(client, _input)
    emails = EmailsApi.new(client)
    give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + SENT_LIMIT_SECONDS
    loop do
      email, status = emails.get_email_with_http_info(@email)
      return { http: status }.merge(message(email)) unless email.status == EmailStatus::QUEUED
      raise 'the message is still queued' if Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up

      sleep 0.1
    end
  end

  def message(email)
    {
      id: email.id, fromEmail: email.from_email, fromName: email.from_name, cc: email.cc, replyTo: email.reply_to,
      subject: email.subject, status: email.status, tags: email.tags, providerMessageId: email.provider_message_id,
      errorMessage: email.error_message, sentAt: email.sent_at
    }.merge(recipients(email))
  end

  def recipients(email)
    {
      recipientEmails: email.recipients.map(&:email), recipientKinds: email.recipients.map(&:kind),
      recipientStatuses: email.recipients.map(&:status)
    }
  end

  def create_key(client, input)
    # Without Rails, Ruby writes a Time into JSON in a form of its own.
    wanted = CreateApiKeyRequest.new(name: input[:name], scopes: input[:scopes], expires_at: input[:expiresAt])
    created, status = ApiKeysApi.new(client).create_api_key_with_http_info(wanted)
    key = created.key
    @key = key.id
    {
      http: status, id: key.id, name: key.name, scopes: key.scopes, expiresAt: key.expires_at,
      lastUsedAt: key.last_used_at, isActive: key.is_active, maskedKey: key.masked_key, fullKey: created.full_key
    }
  end

  def revoke_key(client, _input)
    _, status = ApiKeysApi.new(client).revoke_api_key_with_http_info(@key)
    { http: status }
  end

  def list_keys(client, _input)
    keys, status = ApiKeysApi.new(client).list_api_keys_with_http_info
    {
      http: status, names: keys.map(&:name), active: keys.map(&:is_active), revokedAt: keys.map(&:revoked_at),
      expiresAt: keys.map(&:expires_at)
    }
  end

  def usage(client, _input)
    usage, status = BillingApi.new(client).get_usage_with_http_info
    {
      http: status, periodKey: usage.period_key, periodStart: usage.period_start, emailsSent: usage.emails_sent,
      freeMonthlyAllowance: usage.free_monthly_allowance, freeRemaining: usage.free_remaining,
      billableEmails: usage.billable_emails, pricePer1kCents: usage.price_per1k_cents,
      hasPaymentMethod: usage.has_payment_method, monthlySpendCapCents: usage.monthly_spend_cap_cents
    }
  end

  def refused_read(client, input)
    refused { EmailsApi.new(client).get_email_with_http_info(input[:id]) }
  end

  def future_email(client, input)
    email, status = EmailsApi.new(client).get_email_with_http_info(input[:id])
    { http: status, id: email.id, subject: email.subject, status: email.status }.merge(recipients(email))
  end

  # The client raises the body of a refusal as text; its model decodes it.
  def refused
    yield
    raise 'the request was not refused'
  rescue ApiError => e
    problem = Problem.build_from_hash(JSON.parse(e.response_body, symbolize_names: true))
    {
      http: e.code, status: problem.status, type: problem.type, code: problem.code, title: problem.title,
      detail: problem.detail, requestId: problem.request_id, pointers: (problem.errors || []).map(&:pointer)
    }
  end
end

def client_of(step)
  url = ENV.fetch(step[:client] == 'future' ? 'MAILSTACK_FUTURE_URL' : 'MAILSTACK_URL')
  configuration = MailStack::Configuration.new do |made|
    made.scheme, made.host = url.split('://')
    made.access_token = ENV.fetch(step[:client] == 'exhausted' ? 'MAILSTACK_EXHAUSTED_API_KEY' : 'MAILSTACK_API_KEY')
    # What is wrong has to reach the server, whose answer is the step.
    made.client_side_validation = false
  end
  MailStack::ApiClient.new(configuration)
end

def shown(value)
  case value
  when Hash then value.transform_values { |one| shown(one) }
  when Array then value.map { |one| shown(one) }
  when Time then value.utc.iso8601(6)
  else value
  end
end

$stdout.sync = true
taken = Steps.new.all
JSON.parse(File.read(ENV.fetch('MAILSTACK_SCENARIO')), symbolize_names: true)[:steps].each do |step|
  take = taken.delete(step[:name]) or raise "the runner lacks the step #{step[:name]}"
  puts JSON.generate(step: step[:name], observed: shown(take.call(client_of(step), step[:input])))
end
raise "the runner adds the steps #{taken.keys}" unless taken.empty?
