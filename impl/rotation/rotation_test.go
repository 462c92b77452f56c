package rotation_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/rotation"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/webhook"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// TestTheWholeWay goes from an old key to a new one: both, sealing anew with an interruption, and then the new key alone,
// under which every webhook signs as before and every saved response can be read.
func TestTheWholeWay(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	oldKey, newKey := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	only, both := sealer(t, oldKey), sealer(t, newKey, oldKey)
	organization := newOrganization(t, s)
	signatures := map[uuid.UUID]string{}
	for range 25 {
		id, signature := newWebhook(t, s, organization, only)
		signatures[id] = signature
	}
	responses := newResponses(t, s, organization, only, 25)

	// Interrupted after the second batch, what is done stays done.
	ctx, interrupt := context.WithCancel(t.Context())
	batches := 0
	interrupted := &rotation.Rotation{Store: s, Sealer: both, Batch: 4, Progress: func(rotation.Counts) {
		if batches++; batches == 2 {
			interrupt()
		}
	}}
	counts, err := interrupted.Run(ctx)
	if !errors.Is(err, context.Canceled) || counts.Resealed != 16 {
		t.Fatalf("interrupted: %+v, error %v", counts, err)
	}
	requireReadable(t, s, both, signatures, responses)

	resumed := &rotation.Rotation{Store: s, Sealer: both, Batch: 4}
	for _, want := range []rotation.Counts{{Sealed: 75, Resealed: 59}, {Sealed: 75}} {
		if counts, err := resumed.Run(t.Context()); err != nil || counts != want {
			t.Fatalf("resumed: %+v, want %+v, error %v", counts, want, err)
		}
	}
	requireReadable(t, s, sealer(t, newKey), signatures, responses)

	// Under a key that nothing is sealed under, everything is counted and nothing is changed.
	lost := &rotation.Rotation{Store: s, Sealer: sealer(t, bytes.Repeat([]byte{3}, 32))}
	if counts, err := lost.Run(t.Context()); err != nil || counts != (rotation.Counts{Sealed: 75, Unreadable: 75}) {
		t.Errorf("with a lost key: %+v, error %v", counts, err)
	}
	requireReadable(t, s, sealer(t, newKey), signatures, responses)
}

func sealer(t *testing.T, keys ...[]byte) *sealed.Sealer {
	t.Helper()
	s, err := sealed.NewSealer(rand.Reader, keys...)
	must(t, err)
	return s
}

func newOrganization(t *testing.T, s *store.Store) uuid.UUID {
	t.Helper()
	id := uuid.New()
	_, err := s.Pool().Exec(t.Context(), `INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
		VALUES ($1, 'one', 0, 0, now())`, id)
	must(t, err)
	return id
}

// newWebhook stores a webhook with a present and a previous key, and returns what both sign.
func newWebhook(t *testing.T, s *store.Store, organization uuid.UUID, under *sealed.Sealer) (id uuid.UUID, signature string) {
	t.Helper()
	id, secrets := uuid.New(), [2][]byte{}
	for i := range secrets {
		key, err := webhook.NewSigningKey(rand.Reader)
		must(t, err)
		secrets[i], err = under.Seal(key, webhook.SecretAAD(id))
		must(t, err)
	}
	_, err := s.Pool().Exec(t.Context(), `INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, previous_sealed_secret, created_at, updated_at)
		VALUES ($1, $2, 'https://a.example', '{}', true, $3, $4, now(), now())`, id, organization, secrets[0], secrets[1])
	must(t, err)
	return id, signed(t, id, under, secrets[:]...)
}

// signed returns the signatures of one delivery under the sealed keys of a webhook.
func signed(t *testing.T, id uuid.UUID, under *sealed.Sealer, secrets ...[]byte) string {
	t.Helper()
	var all string
	for _, secret := range secrets {
		key, err := under.Open(secret, webhook.SecretAAD(id))
		must(t, err)
		all += webhook.SigningKey(key).Reveal()
	}
	return all
}

// newResponses saves responses of requests, of which every other shows a secret.
func newResponses(t *testing.T, s *store.Store, organization uuid.UUID, under *sealed.Sealer, secret int) map[idempotency.Key]string {
	t.Helper()
	found := map[idempotency.Key]string{}
	for i := range 2 * secret {
		claim := idempotency.NewClaim(organization, uuid.NewString(), "createWebhook", nil)
		body := uuid.NewString()
		answer := idempotency.Response{Status: 201, Body: []byte(body), Sealed: i%2 == 0}
		if answer.Sealed {
			var err error
			answer.Body, err = under.Seal(answer.Body, claim.Key().AAD())
			must(t, err)
		}
		must(t, s.Tx(t.Context(), func(tx *db.Queries) error {
			return idempotency.Save(t.Context(), tx, time.Now(), idempotency.SavedResponse{Claim: claim, Response: answer})
		}))
		found[claim.Key()] = body
	}
	return found
}

func requireReadable(t *testing.T, s *store.Store, under *sealed.Sealer, signatures map[uuid.UUID]string, responses map[idempotency.Key]string) {
	t.Helper()
	hooks, err := s.Queries().WebhookSealedList(t.Context(), db.WebhookSealedListParams{MaxRows: 1000})
	must(t, err)
	for _, hook := range hooks {
		if signed(t, hook.ID, under, hook.SealedSecret, hook.PreviousSealedSecret) != signatures[hook.ID] {
			t.Errorf("webhook %s signs otherwise than before", hook.ID)
		}
	}
	saved, err := s.Queries().IdempotencyKeySealedList(t.Context(), db.IdempotencyKeySealedListParams{AfterKeyHash: []byte{}, MaxRows: 1000})
	must(t, err)
	for _, one := range saved {
		if one.Body == nil {
			continue
		}
		key := idempotency.Key(one.KeyHash)
		if body, err := under.Open(one.Body, key.AAD()); err != nil || string(body) != responses[key] {
			t.Errorf("a saved response is %q, want %q: %v", body, responses[key], err)
		}
	}
	if len(hooks) != len(signatures) || len(saved) != len(responses) {
		t.Errorf("%d webhooks and %d responses are stored", len(hooks), len(saved))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
