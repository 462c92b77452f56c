<?php

declare(strict_types=1);

use MailStack\Model\WebhookDomainEvent;
use MailStack\Model\WebhookEmailEvent;
use MailStack\ObjectSerializer;

/**
 * The steps about what a webhook received. Debian has no library of Standard Webhooks for PHP, so that the signature is
 * verified by hand, as the specification of Standard Webhooks 1.0 says.
 */
final class Webhooks
{
    /** How many seconds a signature may be old, or in the future. */
    private const TOLERANCE = 300;

    /** @return array<string, callable> */
    public static function steps(): array
    {
        return [
            'decode an event about a message' => self::emailEvent(...),
            'decode an event about a domain' => self::domainEvent(...),
            'decode an event of a type and with members that are not in the document' => self::futureEvent(...),
            'verify what was delivered' => fn ($client, $input) => self::judged($input, self::isSigned(...)),
            'refuse what was altered, is replayed or was signed by others' => fn ($client, $input) => self::judged($input, self::isSigned(...)),
            'verify the HMAC of the body alone' => fn ($client, $input) => self::judged($input, self::isAuthentic(...)),
        ];
    }

    private static function emailEvent($client, object $input): array
    {
        $event = self::received($input, WebhookEmailEvent::class);
        $details = $event->getData()->getDetails();
        return [
            'id' => $event->getId(),
            'type' => $event->getType(),
            'createdAt' => $event->getCreatedAt(),
            'emailId' => $event->getData()->getId(),
            'fromEmail' => $event->getData()->getFromEmail(),
            'toEmail' => $event->getData()->getToEmail(),
            'subject' => $event->getData()->getSubject(),
            'tags' => $event->getData()->getTags(),
            'status' => $event->getData()->getStatus(),
            'errorMessage' => $event->getData()->getErrorMessage(),
            'providerMessageId' => $event->getData()->getProviderMessageId(),
            'bounceType' => is_array($details) ? $details['bounceType'] : $details->getBounceType(),
        ];
    }

    private static function domainEvent($client, object $input): array
    {
        $event = self::received($input, WebhookDomainEvent::class);
        return [
            'id' => $event->getId(),
            'type' => $event->getType(),
            'createdAt' => $event->getCreatedAt(),
            'domainId' => $event->getData()->getId(),
            'domain' => $event->getData()->getDomain(),
            'status' => $event->getData()->getStatus(),
            'statusReason' => $event->getData()->getStatusReason(),
        ];
    }

    private static function futureEvent($client, object $input): array
    {
        $event = self::received($input, WebhookEmailEvent::class);
        return [
            'id' => $event->getId(),
            'type' => $event->getType(),
            'createdAt' => $event->getCreatedAt(),
            'emailId' => $event->getData()->getId(),
            'toEmail' => $event->getData()->getToEmail(),
            'subject' => $event->getData()->getSubject(),
            'status' => $event->getData()->getStatus(),
        ];
    }

    private static function received(object $input, string $class): object
    {
        return ObjectSerializer::deserialize(json_decode($input->body), $class);
    }

    private static function judged(object $input, callable $judge): array
    {
        return ['accepted' => array_map($judge, $input->deliveries)];
    }

    private static function isSigned(object $delivery): bool
    {
        $headers = (array) $delivery->headers;
        if (abs(time() - (int) $headers['webhook-timestamp']) > self::TOLERANCE) {
            return false;
        }
        $signed = $headers['webhook-id'] . '.' . $headers['webhook-timestamp'] . '.' . $delivery->body;
        $wanted = 'v1,' . base64_encode(hash_hmac('sha256', $signed, self::key($delivery), true));
        foreach (explode(' ', $headers['webhook-signature']) as $signature) {
            if (hash_equals($wanted, $signature)) {
                return true;
            }
        }
        return false;
    }

    private static function isAuthentic(object $delivery): bool
    {
        $wanted = hash_hmac('sha256', $delivery->body, self::key($delivery));
        return hash_equals($wanted, ((array) $delivery->headers)['X-MailStack-Signature']);
    }

    private static function key(object $delivery): string
    {
        return base64_decode(substr($delivery->secret, strlen('whsec_')), true);
    }
}
