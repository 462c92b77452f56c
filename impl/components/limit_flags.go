package components

import "github.com/voostack/mailstack/impl/intake"

// LimitFlags set how many emails an organization may send, where an operator has set nothing for it.
type LimitFlags struct {
	OrganizationDailyLimit     int64 `env:"MAILSTACK_ORGANIZATION_DAILY_LIMIT" default:"0" placeholder:"N" help:"Emails that an organization may send in a day (UTC); 0: no limit. Default: 0."`
	OrganizationPerSecondLimit int64 `env:"MAILSTACK_ORGANIZATION_PER_SECOND_LIMIT" default:"0" placeholder:"N" help:"Emails that an organization may send in a second, in this process; 0: no limit. Default: 0."`
	OrganizationWarmUp         int64 `env:"MAILSTACK_ORGANIZATION_WARM_UP" default:"0" placeholder:"N" help:"Emails that a new organization may send on its first day, doubled on each day without a warning, for 30 days; a hundredth of it in a second. 0: no such limit. Default: 0."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags LimitFlags) Check() error {
	for name, value := range map[string]int64{
		"MAILSTACK_ORGANIZATION_DAILY_LIMIT": flags.OrganizationDailyLimit, "MAILSTACK_ORGANIZATION_PER_SECOND_LIMIT": flags.OrganizationPerSecondLimit,
		"MAILSTACK_ORGANIZATION_WARM_UP": flags.OrganizationWarmUp,
	} {
		if value < 0 {
			return Usagef("%s is %d: it must be 0 or more", name, value)
		}
	}
	return nil
}

// Limits returns the settings as package intake takes them.
func (flags LimitFlags) Limits() intake.Limits {
	return intake.Limits{
		Daily: flags.OrganizationDailyLimit, PerSecond: flags.OrganizationPerSecondLimit, WarmUp: flags.OrganizationWarmUp,
	}
}
