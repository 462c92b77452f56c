package token_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/token"
)

var (
	keyA = bytes.Repeat([]byte{0xa}, 32)
	keyB = bytes.Repeat([]byte{0xb}, 32)
)

func newSealer(t *testing.T, keys ...[]byte) *token.Sealer {
	t.Helper()
	s, err := token.NewSealer(rand.Reader, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedIsOpened(t *testing.T) {
	t.Parallel()
	s := newSealer(t, keyA)
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		sealed, err := s.Seal(plaintext, aad)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := s.Open(sealed, aad)
		if err != nil || !bytes.Equal(opened, plaintext) {
			t.Fatalf("opened %x, %v", opened, err)
		}
		again, err := s.Seal(plaintext, aad)
		if err != nil || bytes.Equal(sealed, again) {
			t.Fatalf("the same nonce twice, %v", err)
		}
		if _, err := s.Open(sealed, append(aad, 1)); !errors.Is(err, token.ErrNotOpened) {
			t.Fatalf("opened for another purpose: %v", err)
		}
		bit := rapid.IntRange(0, 8*len(sealed)-1).Draw(t, "bit")
		changed := slices.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := s.Open(changed, aad); !errors.Is(err, token.ErrNotOpened) {
			t.Fatalf("opened with bit %d changed: %v", bit, err)
		}
		cut := rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")
		if _, err := s.Open(sealed[:cut], aad); !errors.Is(err, token.ErrNotOpened) {
			t.Fatalf("opened when cut to %d: %v", cut, err)
		}
	})
}

func TestSealerRotates(t *testing.T) {
	t.Parallel()
	old, both, replaced := newSealer(t, keyA), newSealer(t, keyB, keyA), newSealer(t, keyB)
	bySealer := func(s *token.Sealer) []byte {
		sealed, err := s.Seal([]byte("x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	if _, err := both.Open(bySealer(old), nil); err != nil {
		t.Errorf("the second key does not open: %v", err)
	}
	if _, err := replaced.Open(bySealer(both), nil); err != nil {
		t.Errorf("the first key did not seal: %v", err)
	}
	if _, err := replaced.Open(bySealer(old), nil); !errors.Is(err, token.ErrNotOpened) {
		t.Errorf("opened under a key that is gone: %v", err)
	}
}

func TestNewSealerRefusesKeys(t *testing.T) {
	t.Parallel()
	for _, keys := range [][][]byte{nil, {keyA[:31]}, {keyA[:16]}, {append(slices.Clone(keyA), 0)}, {keyA, nil}} {
		if _, err := token.NewSealer(rand.Reader, keys...); err == nil {
			t.Errorf("accepted %x", keys)
		}
	}
}

func TestSealFailsWithItsSource(t *testing.T) {
	t.Parallel()
	s, err := token.NewSealer(strings.NewReader("short"), keyA)
	if err != nil {
		t.Fatal(err)
	}
	if sealed, err := s.Seal([]byte("x"), nil); err == nil {
		t.Errorf("sealed %x without a nonce", sealed)
	}
}

// FuzzOpen: whoever has no key makes nothing that opens, and what opens is what was sealed.
func FuzzOpen(f *testing.F) {
	s, err := token.NewSealer(rand.Reader, keyB, keyA)
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := s.Seal([]byte("x"), []byte("cursor"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, {1}, sealed[:13], sealed[:len(sealed)-1], append(slices.Clone(sealed), 0)} {
		f.Add(seed, []byte("cursor"))
	}
	f.Add(sealed, []byte("another"))
	f.Fuzz(func(t *testing.T, given, aad []byte) {
		opened, err := s.Open(given, aad)
		if err != nil && !errors.Is(err, token.ErrNotOpened) || err == nil && (string(opened) != "x" || string(aad) != "cursor") {
			t.Fatalf("%x opened as %x, %v", given, opened, err)
		}
		sealed, err := s.Seal(given, aad)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := s.Open(sealed, aad); err != nil || string(opened) != string(given) {
			t.Fatalf("%x became %x, %v", given, opened, err)
		}
	})
}
