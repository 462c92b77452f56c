package ses

import (
	"context"
	"errors"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
)

// Quota is the account's sending quota and state. Every recipient counts as one message.
type Quota struct {
	Max24Hour         float64 // -1 means unlimited
	MaxPerSecond      float64
	SentLast24Hours   float64
	SendingEnabled    bool
	EnforcementStatus string // HEALTHY, PROBATION or SHUTDOWN
	ProductionAccess  bool   // false in the sandbox, where recipients must be verified too
}

// GetQuota reads the account's quota and state.
func (c *Client) GetQuota(ctx context.Context) (Quota, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	out, err := c.admin.GetAccount(ctx, &sesv2.GetAccountInput{})
	if err != nil {
		return Quota{}, newError(ctx, "GetAccount", a, err)
	}
	quota := Quota{
		SendingEnabled:    out.SendingEnabled,
		EnforcementStatus: aws.ToString(out.EnforcementStatus),
		ProductionAccess:  out.ProductionAccessEnabled,
	}
	q := out.SendQuota
	if q == nil {
		return Quota{}, errors.New("GetAccount: the answer holds no quota")
	}
	quota.Max24Hour, quota.MaxPerSecond, quota.SentLast24Hours = q.Max24HourSend, q.MaxSendRate, q.SentLast24Hours
	return quota, nil
}

// EnsureConfigurationSet makes sure that the configured configuration set exists and ignores the account's
// suppression list. Each organization's own list decides: a message that SES drops because of the account's list
// would be charged and never explained. Without a configured set it does nothing.
func (c *Client) EnsureConfigurationSet(ctx context.Context) error {
	_, err := c.SetUpConfigurationSet(ctx)
	return err
}

// SetUpConfigurationSet does what EnsureConfigurationSet does, and reports the change.
func (c *Client) SetUpConfigurationSet(ctx context.Context) (Change, error) {
	if c.configurationSet == "" {
		return Unchanged, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	name := aws.String(c.configurationSet)
	out, err := c.admin.GetConfigurationSet(ctx, &sesv2.GetConfigurationSetInput{ConfigurationSetName: name})
	var absent *types.NotFoundException
	if errors.As(err, &absent) {
		return Created, c.createConfigurationSet(ctx, name)
	}
	if err != nil {
		return "", newError(ctx, "GetConfigurationSet", a, err)
	}
	if o := out.SuppressionOptions; o != nil && o.SuppressedReasons != nil && len(o.SuppressedReasons) == 0 {
		return Unchanged, nil
	}
	_, err = c.admin.PutConfigurationSetSuppressionOptions(ctx, &sesv2.PutConfigurationSetSuppressionOptionsInput{
		ConfigurationSetName: name,
		SuppressedReasons:    []types.SuppressionListReason{},
	})
	if err != nil {
		return "", newError(ctx, "PutConfigurationSetSuppressionOptions", a, err)
	}
	c.log.Info("account suppression switched off in the configuration set", slog.String("configuration_set", *name))
	return Updated, nil
}

func (c *Client) createConfigurationSet(ctx context.Context, name *string) error {
	ctx, a := trackWire(ctx)
	_, err := c.admin.CreateConfigurationSet(ctx, &sesv2.CreateConfigurationSetInput{
		ConfigurationSetName: name,
		SuppressionOptions:   &types.SuppressionOptions{SuppressedReasons: []types.SuppressionListReason{}},
	})
	var exists *types.AlreadyExistsException
	if errors.As(err, &exists) {
		return nil // another process created it first
	}
	if err != nil {
		return newError(ctx, "CreateConfigurationSet", a, err)
	}
	c.log.Info("configuration set created", slog.String("configuration_set", *name))
	return nil
}
