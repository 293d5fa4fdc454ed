package api

import (
	"errors"
	"net/http"
	"regexp"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// backupName is a name that leads nowhere else.
var backupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// backup serves POST /v1/store/backup?name=NAME [HTTP-8].
func (h *Handler) backup(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.authenticate(w, r, auth.Admin); !ok {
		return
	}
	name := r.URL.Query().Get("name")
	if !backupName.MatchString(name) {
		h.fail(w, r, wire.RequestInvalid.Newf("The name of a backup is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with a letter or digit."))
		return
	}
	if h.cfg.Backup == nil {
		h.fail(w, r, wire.StoreBackupUnsupported.New())
		return
	}
	path, err := h.cfg.Backup(r.Context(), name)
	switch {
	case errors.Is(err, store.ErrExists):
		h.fail(w, r, wire.StoreBackupExists.Newf("There is a backup %q already; choose another name.", name))
	case err != nil:
		h.cfg.Session.Logger.Error("back up the store", "name", name, "error", err)
		h.fail(w, r, wire.StoreUnavailable.Newf("The backup was not made; the gateway's log says why."))
	default:
		h.cfg.Session.Logger.Info("the store was backed up", "path", path)
		h.reply(w, r, http.StatusCreated, map[string]any{"backup": map[string]any{"name": name, "path": path}})
	}
}
