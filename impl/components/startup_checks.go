package components

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
)

const maxSESRetry = time.Minute

// CheckSES creates the configuration set and says in the log what the account may send, until both succeeded:
// wrong credentials, a missing permission and the sandbox otherwise show up as mail that never goes out.
func CheckSES(client *ses.Client, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for wait := time.Second; ; wait = min(2*wait, maxSESRetry) {
			quota, err := prepareSES(ctx, client)
			if err == nil {
				reportQuota(ctx, quota, client.Region(), log)
				return nil
			}
			if ctx.Err() == nil {
				log.ErrorContext(ctx, "Amazon SES cannot be used as it is", slog.Any("error", err),
					slog.String("class", string(ses.ClassOf(err))), slog.String("retry_in", wait.String()))
			}
			if backoff.Sleep(ctx, wait) != nil {
				return nil
			}
		}
	}
}

func prepareSES(ctx context.Context, client *ses.Client) (ses.Quota, error) {
	if err := client.EnsureConfigurationSet(ctx); err != nil {
		return ses.Quota{}, err
	}
	return client.GetQuota(ctx)
}

func reportQuota(ctx context.Context, quota ses.Quota, region string, log *slog.Logger) {
	log.InfoContext(ctx, "Amazon SES answers", slog.String("region", region),
		slog.Float64("max_24_hour", quota.Max24Hour), slog.Float64("max_per_second", quota.MaxPerSecond))
	if !quota.SendingEnabled {
		log.WarnContext(ctx, "the SES account may not send at present", slog.String("enforcement", quota.EnforcementStatus))
	}
	if !quota.ProductionAccess {
		log.WarnContext(ctx, "the SES account is in the sandbox: it sends to verified recipients only; ask AWS for production access")
	}
}

// CheckDNS says in the log when domains cannot be verified because nobody answers.
func CheckDNS(resolver *dns.Resolver, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := resolver.Check(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the DNS resolver does not answer: domains cannot be verified", slog.Any("error", err))
		}
		return nil
	}
}

// AWSClients are those of SES, and of what is around it.
func AWSClients(ctx context.Context, account SESFlags) (*ses.Client, *awsevents.Client, error) {
	config := ses.Config{ConfigurationSet: account.ConfigurationSet, Timeout: SendTimeout, Log: slog.New(slog.DiscardHandler)}
	mail, err := ses.New(ctx, config)
	if err != nil {
		return nil, nil, fmt.Errorf("set up Amazon SES: %w", err)
	}
	client, err := awsevents.New(ctx, config)
	return mail, client, err
}
