package intake_test

import (
	"os"
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
