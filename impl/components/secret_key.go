package components

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/voostack/mailstack/impl/sealed"
)

// SecretKeyBytes is the length of a secret key.
const SecretKeyBytes = 32

// SecretKeyFlags sets the keys under which stored secrets are encrypted.
type SecretKeyFlags struct {
	SecretKey string `env:"MAILSTACK_SECRET_KEY" placeholder:"KEY" help:"Key that encrypts stored secrets: 32 random bytes in base64 or hex (openssl rand -base64 32). To rotate, several separated by commas: the first encrypts, all decrypt. Required. Prefer the variable: other users of the machine can see arguments."`
}

// Check returns a [UsageError] unless the keys are well-formed, so that a bad key fails the start and not a request.
func (flags SecretKeyFlags) Check(random io.Reader) error {
	_, err := flags.Sealer(random)
	return err
}

// Sealer returns a Sealer that encrypts and authenticates under the keys.
func (flags SecretKeyFlags) Sealer(random io.Reader) (*sealed.Sealer, error) {
	if strings.TrimSpace(flags.SecretKey) == "" {
		return nil, Usagef("MAILSTACK_SECRET_KEY is not set: give it 32 random bytes, as made by `openssl rand -base64 32`, the same for every process")
	}
	var keys [][]byte
	for part := range strings.SplitSeq(flags.SecretKey, ",") {
		key, err := decodeKey(strings.TrimSpace(part))
		if err != nil {
			return nil, UsageError{err}
		}
		keys = append(keys, key)
	}
	sealer, err := sealed.NewSealer(random, keys...)
	if err != nil {
		return nil, Usagef("MAILSTACK_SECRET_KEY cannot be used: %w", err)
	}
	return sealer, nil
}

// decodeKey decodes one key. Its error never repeats the key.
func decodeKey(text string) ([]byte, error) {
	decoders := []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.DecodeString,
		base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString,
		base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		if key, err := decode(text); err == nil && len(key) == SecretKeyBytes {
			return key, nil
		}
	}
	return nil, fmt.Errorf("MAILSTACK_SECRET_KEY holds a key that is not %d bytes in base64 or hex", SecretKeyBytes)
}
