<?php

declare(strict_types=1);

use MailStack\Api\ApiKeysApi;
use MailStack\Api\BillingApi;
use MailStack\Api\DomainsApi;
use MailStack\Api\EmailsApi;
use MailStack\ApiException;
use MailStack\Configuration;
use MailStack\Model\CreateApiKeyRequest;
use MailStack\Model\CreateDomainRequest;
use MailStack\Model\Email;
use MailStack\Model\Problem;
use MailStack\Model\SendBatchRequest;
use MailStack\Model\SendEmailRequest;
use MailStack\ObjectSerializer;

/** The steps; it holds what a later one needs from an earlier one. */
final class Steps
{
    private const SENT_LIMIT_SECONDS = 30;
    private const QUEUED = 'Queued';

    private string $domain;
    private string $email;
    private string $key;

    /** @return array<string, callable> */
    public function all(): array
    {
        return [
            'register a domain' => $this->registerDomain(...),
            'be refused the same domain again (409)' => fn ($client, $input) => $this->refused(
                fn () => (new DomainsApi(config: $client))->createDomainWithHttpInfo($this->read($input, CreateDomainRequest::class))
            ),
            'list the domains' => $this->listDomains(...),
            'get the domain' => $this->getDomain(...),
            'verify the domain' => $this->verifyDomain(...),
            'send an email' => $this->send(...),
            'send a batch with one rejected item' => $this->sendBatch(...),
            'read the email back until it is sent' => $this->readBack(...),
            'create a key' => $this->createKey(...),
            'revoke the key' => fn ($client) => ['http' => (new ApiKeysApi(config: $client))->revokeApiKeyWithHttpInfo($this->key)[1]],
            'list the keys' => $this->listKeys(...),
            'read the usage' => $this->usage(...),
            'be refused an address that is none (400)' => $this->refusedSend(...),
            'be refused without an allowance (402)' => $this->refusedSend(...),
            'be refused an email that is not there (404)' => $this->refusedRead(...),
            'delete the domain' => fn ($client) => ['http' => (new DomainsApi(config: $client))->deleteDomainWithHttpInfo($this->domain)[1]],
            'decode an answer with members and values that are not in the document' => $this->futureEmail(...),
            'decode a problem with a status and a code that are not in the document' => $this->refusedRead(...),
        ];
    }

    private function registerDomain(Configuration $client, object $input): array
    {
        [$domain, $status] = (new DomainsApi(config: $client))->createDomainWithHttpInfo($this->read($input, CreateDomainRequest::class));
        $this->domain = $domain->getId();
        return [
            'http' => $status,
            'id' => $domain->getId(),
            'domain' => $domain->getDomain(),
            'status' => $domain->getStatus(),
            'customMailFromDomain' => $domain->getCustomMailFromDomain(),
            'recordTypes' => array_map(fn ($record) => $record->getType(), $domain->getDnsRecords()),
            'recordPurposes' => array_map(fn ($record) => $record->getPurpose(), $domain->getDnsRecords()),
            'recordTtls' => array_map(fn ($record) => $record->getTtl(), $domain->getDnsRecords()),
            'verifiedAt' => $domain->getVerifiedAt(),
            'createdAt' => $domain->getCreatedAt(),
        ];
    }

    private function listDomains(Configuration $client): array
    {
        [$domains, $status] = (new DomainsApi(config: $client))->listDomainsWithHttpInfo();
        return [
            'http' => $status,
            'domains' => array_map(fn ($domain) => $domain->getDomain(), $domains),
            'ids' => array_map(fn ($domain) => $domain->getId(), $domains),
        ];
    }

    private function getDomain(Configuration $client): array
    {
        [$domain, $status] = (new DomainsApi(config: $client))->getDomainWithHttpInfo($this->domain);
        return ['http' => $status, 'id' => $domain->getId(), 'domain' => $domain->getDomain(), 'status' => $domain->getStatus()];
    }

    private function verifyDomain(Configuration $client): array
    {
        [$domain, $status] = (new DomainsApi(config: $client))->verifyDomainWithHttpInfo($this->domain);
        return [
            'http' => $status,
            'id' => $domain->getId(),
            'status' => $domain->getStatus(),
            'statusReason' => $domain->getStatusReason(),
            'verifiedAt' => $domain->getVerifiedAt(),
            'recordStatuses' => array_map(fn ($record) => $record->getStatus(), $domain->getDnsRecords()),
        ];
    }

    private function send(Configuration $client, object $input): array
    {
        [$queued, $status] = (new EmailsApi(config: $client))->sendEmailWithHttpInfo($this->read($input, SendEmailRequest::class));
        $this->email = $queued->getId();
        return ['http' => $status, 'id' => $queued->getId(), 'status' => $queued->getStatus()];
    }

    private function sendBatch(Configuration $client, object $input): array
    {
        [$result, $status] = (new EmailsApi(config: $client))->sendBatchWithHttpInfo($this->read($input, SendBatchRequest::class));
        $items = $result->getResults();
        return [
            'http' => $status,
            'accepted' => $result->getAccepted(),
            'rejected' => $result->getRejected(),
            'indexes' => array_map(fn ($item) => $item->getIndex(), $items),
            'statuses' => array_map(fn ($item) => $item->getStatus(), $items),
            'ids' => array_map(fn ($item) => $item->getId(), $items),
            'codes' => array_map(fn ($item) => $item->getCode(), $items),
            'errors' => array_map(fn ($item) => $item->getError(), $items),
            'pointers' => array_map(fn ($item) => array_map(fn ($one) => $one->getPointer(), $item->getErrors() ?? []), $items),
        ];
    }

    private function readBack(Configuration $client): array
    {
        $giveUp = microtime(true) + self::SENT_LIMIT_SECONDS;
        do {
            [$email, $status] = (new EmailsApi(config: $client))->getEmailWithHttpInfo($this->email);
            if ($email->getStatus() !== self::QUEUED) {
                return ['http' => $status, ...$this->message($email)];
            }
            usleep(100_000);
        } while (microtime(true) < $giveUp);
        throw new RuntimeException('the message is still queued');
    }

    private function message(Email $email): array
    {
        return [
            'id' => $email->getId(),
            'fromEmail' => $email->getFromEmail(),
            'fromName' => $email->getFromName(),
            'cc' => $email->getCc(),
            'replyTo' => $email->getReplyTo(),
            'subject' => $email->getSubject(),
            'status' => $email->getStatus(),
            'tags' => $email->getTags(),
            'providerMessageId' => $email->getProviderMessageId(),
            'errorMessage' => $email->getErrorMessage(),
            'sentAt' => $email->getSentAt(),
            ...$this->recipients($email),
        ];
    }

    private function recipients(Email $email): array
    {
        return [
            'recipientEmails' => array_map(fn ($one) => $one->getEmail(), $email->getRecipients()),
            'recipientKinds' => array_map(fn ($one) => $one->getKind(), $email->getRecipients()),
            'recipientStatuses' => array_map(fn ($one) => $one->getStatus(), $email->getRecipients()),
        ];
    }

    private function createKey(Configuration $client, object $input): array
    {
        [$created, $status] = (new ApiKeysApi(config: $client))->createApiKeyWithHttpInfo($this->read($input, CreateApiKeyRequest::class));
        $key = $created->getKey();
        $this->key = $key->getId();
        return [
            'http' => $status,
            'id' => $key->getId(),
            'name' => $key->getName(),
            'scopes' => $key->getScopes(),
            'expiresAt' => $key->getExpiresAt(),
            'lastUsedAt' => $key->getLastUsedAt(),
            'isActive' => $key->getIsActive(),
            'maskedKey' => $key->getMaskedKey(),
            'fullKey' => $created->getFullKey(),
        ];
    }

    private function listKeys(Configuration $client): array
    {
        [$keys, $status] = (new ApiKeysApi(config: $client))->listApiKeysWithHttpInfo();
        return [
            'http' => $status,
            'names' => array_map(fn ($key) => $key->getName(), $keys),
            'active' => array_map(fn ($key) => $key->getIsActive(), $keys),
            'revokedAt' => array_map(fn ($key) => $key->getRevokedAt(), $keys),
            'expiresAt' => array_map(fn ($key) => $key->getExpiresAt(), $keys),
        ];
    }

    private function usage(Configuration $client): array
    {
        [$usage, $status] = (new BillingApi(config: $client))->getUsageWithHttpInfo();
        return [
            'http' => $status,
            'periodKey' => $usage->getPeriodKey(),
            'periodStart' => $usage->getPeriodStart(),
            'emailsSent' => $usage->getEmailsSent(),
            'freeMonthlyAllowance' => $usage->getFreeMonthlyAllowance(),
            'freeRemaining' => $usage->getFreeRemaining(),
            'billableEmails' => $usage->getBillableEmails(),
            'pricePer1kCents' => $usage->getPricePer1kCents(),
            'hasPaymentMethod' => $usage->getHasPaymentMethod(),
            'monthlySpendCapCents' => $usage->getMonthlySpendCapCents(),
        ];
    }

    private function refusedSend(Configuration $client, object $input): array
    {
        return $this->refused(
            fn () => (new EmailsApi(config: $client))->sendEmailWithHttpInfo($this->read($input, SendEmailRequest::class))
        );
    }

    private function refusedRead(Configuration $client, object $input): array
    {
        return $this->refused(fn () => (new EmailsApi(config: $client))->getEmailWithHttpInfo($input->id));
    }

    private function futureEmail(Configuration $client, object $input): array
    {
        [$email, $status] = (new EmailsApi(config: $client))->getEmailWithHttpInfo($input->id);
        return [
            'http' => $status,
            'id' => $email->getId(),
            'subject' => $email->getSubject(),
            'status' => $email->getStatus(),
            ...$this->recipients($email),
        ];
    }

    /** The client throws the body of a refusal as text where the document does not list its status; its model decodes it. */
    private function refused(callable $request): array
    {
        try {
            $request();
        } catch (ApiException $refusal) {
            $problem = $refusal->getResponseObject() ?? ObjectSerializer::deserialize(json_decode($refusal->getResponseBody()), Problem::class);
            return [
                'http' => $refusal->getCode(),
                'status' => $problem->getStatus(),
                'type' => $problem->getType(),
                'code' => $problem->getCode(),
                'title' => $problem->getTitle(),
                'detail' => $problem->getDetail(),
                'requestId' => $problem->getRequestId(),
                'pointers' => array_map(fn ($one) => $one->getPointer(), $problem->getErrors() ?? []),
            ];
        }
        throw new RuntimeException('the request was not refused');
    }

    private function read(object $input, string $class): object
    {
        return ObjectSerializer::deserialize($input, $class);
    }
}
