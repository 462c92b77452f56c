package components

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/voostack/mailstack/impl/reputation"
)

// ReputationFlags set how much of an organization's mail may bounce or be complained about.
type ReputationFlags struct {
	ReputationRecipients int64   `env:"MAILSTACK_REPUTATION_RECIPIENTS" default:"200" placeholder:"N" help:"Recipients within 7 days from which the rates of bounces and complaints count. Default: 200."`
	BounceWarning        Percent `env:"MAILSTACK_BOUNCE_WARNING" default:"4%" placeholder:"PERCENT" help:"Share of recipients whose mail bounces for good, of an organization or of a domain, at which organization.warning is sent; 0 for never. Default: 4%."`
	BouncePause          Percent `env:"MAILSTACK_BOUNCE_PAUSE" default:"8%" placeholder:"PERCENT" help:"The share at which sending pauses, for the organization or for the domain; 0 for never. Default: 8%."`
	ComplaintWarning     Percent `env:"MAILSTACK_COMPLAINT_WARNING" default:"0.08%" placeholder:"PERCENT" help:"Share of recipients who complain, at which organization.warning is sent; 0 for never. Default: 0.08%."`
	ComplaintPause       Percent `env:"MAILSTACK_COMPLAINT_PAUSE" default:"0.3%" placeholder:"PERCENT" help:"The share at which sending pauses; 0 for never. Default: 0.3%."`
}

// Check returns a [UsageError] if a setting is wrong.
func (flags ReputationFlags) Check() error {
	if flags.ReputationRecipients < 1 {
		return Usagef("MAILSTACK_REPUTATION_RECIPIENTS is %d: at least 1 is needed", flags.ReputationRecipients)
	}
	return nil
}

// Thresholds returns the settings as package reputation takes them.
func (flags ReputationFlags) Thresholds() reputation.Thresholds {
	return reputation.Thresholds{
		MinRecipients: flags.ReputationRecipients,
		Bounces:       reputation.Levels{Warning: float64(flags.BounceWarning), Pause: float64(flags.BouncePause)},
		Complaints:    reputation.Levels{Warning: float64(flags.ComplaintWarning), Pause: float64(flags.ComplaintPause)},
	}
}

// Percent is a share from 0 to 1, which is given as a percentage.
type Percent float64

// UnmarshalText reads 4% or 4.
func (p *Percent) UnmarshalText(text []byte) error {
	given := strings.TrimSuffix(string(text), "%")
	share, err := strconv.ParseFloat(given, 64)
	if err != nil || !(share >= 0 && share <= 100) {
		return fmt.Errorf("%q is not a percentage from 0 to 100, such as 4%% or 0.08", text)
	}
	*p = Percent(share / 100)
	return nil
}
