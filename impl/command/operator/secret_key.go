package operator

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/rotation"
	"github.com/voostack/mailstack/impl/store"
)

// SecretKey is "mailstack secret-key".
type SecretKey struct {
	Rotate secretKeyRotate `cmd:"" help:"Encrypt stored secrets anew under the first key of MAILSTACK_SECRET_KEY."`
}

type secretKeyRotate struct {
	Flags
	components.SecretKeyFlags
}

// Help is shown by --help.
func (*secretKeyRotate) Help() string {
	return `Run it once every process has MAILSTACK_SECRET_KEY with the new key first and the old one behind it. Processes go on ` +
		`serving meanwhile. It can be stopped at any time and run again: it goes on with what is left.`
}

// Run encrypts stored secrets anew.
func (c *secretKeyRotate) Run(ctx context.Context, process *components.Process) error {
	sealer, err := c.Sealer(process.Random)
	if err != nil {
		return err
	}
	return c.WithDatabase(ctx, func(database *store.Store) error {
		counts, err := (&rotation.Rotation{Store: database, Sealer: sealer}).Run(ctx)
		said := process.Printf("%d stored secrets, %d of them encrypted anew under the first key\n", counts.Sealed, counts.Resealed)
		if err != nil {
			return fmt.Errorf("stopped before the end, run it again: %w", err)
		}
		if said != nil {
			return said
		}
		if counts.Unreadable > 0 {
			return fmt.Errorf("%d stored secrets were encrypted under none of the keys: add the key that is missing and run it again", counts.Unreadable)
		}
		if counts.Resealed > 0 {
			return process.Printf("Run it again once no process has another key first: when nothing is left to encrypt anew, the old keys can go.\n")
		}
		return process.Printf("The first key opens everything that is stored. The other keys can be removed from MAILSTACK_SECRET_KEY.\n" +
			"Cursors of lists that were given out under another key end with it: clients begin such a list anew.\n")
	})
}
