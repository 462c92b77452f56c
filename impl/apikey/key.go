package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	marker       = "ms_live_"
	alphabet     = "abcdefghijklmnopqrstuvwxyz0123456789"
	prefixLength = 8
	secretBytes  = 32
	secretLength = 43 // secretBytes in base64url without padding
	keyLength    = len(marker) + prefixLength + 1 + secretLength
	hidden       = "••••"
	// maxDraws bounds the draws from a random source for one character. An honest source needs another draw with a
	// probability of 4/256.
	maxDraws = 64
)

// ErrMalformed is returned for everything that does not have the shape of an API key. It does not say why, so that
// guessing keys teaches nothing.
var ErrMalformed = errors.New("malformed API key")

// Key is an API key. The prefix identifies it and may be shown; only its holder knows the secret. However a key is
// printed, logged or marshalled, its secret stays hidden: only [Key.Reveal] shows it.
type Key struct {
	// Prefix is 8 characters of a–z and 0–9.
	Prefix string
	// Secret is 32 random bytes in base64url without padding.
	Secret string
}

// New makes a key from a random source, which must be fit for secrets. It does not check that the prefix is unique.
func New(random io.Reader) (Key, error) {
	prefix := make([]byte, prefixLength)
	for i := range prefix {
		c, err := randomCharacter(random)
		if err != nil {
			return Key{}, fmt.Errorf("make a key prefix: %w", err)
		}
		prefix[i] = c
	}
	secret := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, secret); err != nil {
		return Key{}, fmt.Errorf("make a key secret: %w", err)
	}
	return Key{Prefix: string(prefix), Secret: base64.RawURLEncoding.EncodeToString(secret)}, nil
}

// randomCharacter draws again when a byte modulo 36 would favour the first letters.
func randomCharacter(random io.Reader) (byte, error) {
	const fair = 256 - 256%len(alphabet)
	var b [1]byte
	for range maxDraws {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, err
		}
		if int(b[0]) < fair {
			return alphabet[int(b[0])%len(alphabet)], nil
		}
	}
	return 0, errors.New("the random source repeats itself")
}

// Parse parses a key in the form that [Key.Reveal] returns. Any other marker (ms_test_ is reserved), length or
// character is [ErrMalformed].
func Parse(s string) (Key, error) {
	if len(s) != keyLength || !strings.HasPrefix(s, marker) {
		return Key{}, ErrMalformed
	}
	prefix, rest := s[len(marker):len(marker)+prefixLength], s[len(marker)+prefixLength:]
	if strings.Trim(prefix, alphabet) != "" || rest[0] != '_' {
		return Key{}, ErrMalformed
	}
	secret := rest[1:]
	// Compare with the re-encoded secret: the decoder ignores line ends, and a secret must have only one spelling.
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != secret {
		return Key{}, ErrMalformed
	}
	return Key{Prefix: prefix, Secret: secret}, nil
}

// Reveal returns the whole key, including the secret. It is for the key's holder, once.
func (k Key) Reveal() string { return marker + k.Prefix + "_" + k.Secret }

// Hash returns the SHA-256 of the secret, which is what is stored. A slow hash would add nothing: 256 random bits
// cannot be guessed.
func (k Key) Hash() []byte {
	sum := sha256.Sum256([]byte(k.Secret))
	return sum[:]
}

// Matches reports in constant time whether hash is the hash of the secret.
func (k Key) Matches(hash []byte) bool {
	return subtle.ConstantTimeCompare(k.Hash(), hash) == 1
}

// Mask returns how a key with this prefix is shown.
func Mask(prefix string) string { return marker + prefix + "_" + hidden }

// String returns the masked key.
func (k Key) String() string { return Mask(k.Prefix) }

// Format writes the masked key for every verb, including %#v and %d. Package fmt handles only %p itself, and vet
// rejects that for a struct.
func (k Key) Format(f fmt.State, _ rune) {
	// fmt.Formatter cannot return an error.
	_, _ = io.WriteString(f, k.String())
}

// LogValue returns the masked key.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns the masked key, so that a key does not leak in JSON either.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
