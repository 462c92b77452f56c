<?php

// Takes the steps of the SDK scenario with the client that openapi-generator makes from openapi.yaml.
//
// It prints what the typed responses hold; judging them is the work of contracttests/sdk/run.

declare(strict_types=1);

require_once '/usr/share/php/GuzzleHttp/autoload.php';
spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, 'MailStack\\')) {
        require __DIR__ . '/generated/lib/' . str_replace('\\', '/', substr($class, strlen('MailStack\\'))) . '.php';
    }
});
require __DIR__ . '/steps.php';
require __DIR__ . '/webhooks.php';

function environment(string $name): string
{
    $value = getenv($name);
    if ($value === false) {
        throw new RuntimeException("$name is not set");
    }
    return $value;
}

function configurationOf(object $step): MailStack\Configuration
{
    $client = $step->client ?? '';
    return (new MailStack\Configuration())
        ->setHost(environment($client === 'future' ? 'MAILSTACK_FUTURE_URL' : 'MAILSTACK_URL'))
        ->setAccessToken(environment($client === 'exhausted' ? 'MAILSTACK_EXHAUSTED_API_KEY' : 'MAILSTACK_API_KEY'));
}

/** Times, which JSON does not know. */
function shown(mixed $value): mixed
{
    if ($value instanceof DateTime) {
        return $value->format('Y-m-d\TH:i:s.uP');
    }
    return is_array($value) ? array_map('shown', $value) : $value;
}

$taken = array_merge((new Steps())->all(), Webhooks::steps());
$scenario = json_decode(file_get_contents(environment('MAILSTACK_SCENARIO')), flags: JSON_THROW_ON_ERROR);
foreach ($scenario->steps as $step) {
    $take = $taken[$step->name] ?? throw new RuntimeException("the runner lacks the step $step->name");
    unset($taken[$step->name]);
    $observed = shown($take(configurationOf($step), $step->input ?? null));
    echo json_encode(['step' => $step->name, 'observed' => $observed], JSON_THROW_ON_ERROR), "\n";
}
if ($taken !== []) {
    throw new RuntimeException('the runner adds the steps ' . implode(', ', array_keys($taken)));
}
