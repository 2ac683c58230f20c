-- name: schema
CREATE TABLE alert (
    id TEXT PRIMARY KEY,  -- service/alerts/alert.py alert_id()
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'firing', 'resolved')),
    since_ns INTEGER NOT NULL,
    resolved_ns INTEGER,
    body BLOB NOT NULL  -- the whole alert as JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_tenant ON alert (tenant, state, since_ns);
-- What is to be delivered, oldest first; a row goes once its receiver has taken it.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    created_ns INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    parked_ns INTEGER,  -- when it was given up
    UNIQUE (receiver, key)
) STRICT;
CREATE INDEX outbox_due ON outbox (receiver, id) WHERE parked_ns IS NULL;
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    change TEXT NOT NULL CHECK (change IN ('fired', 'resolved')),
    body BLOB NOT NULL  -- the alert as it was then
) STRICT;
CREATE INDEX history_tenant ON history (tenant, id);
CREATE TABLE receiver (
    name TEXT PRIMARY KEY,
    sent INTEGER NOT NULL DEFAULT 0,
    sent_ns INTEGER,
    failed INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    error_ns INTEGER
) STRICT, WITHOUT ROWID;

-- name: schema_2
-- How far each subscription to percepts has followed the log.
CREATE TABLE subscription (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- name: place
SELECT tenant, name, position FROM subscription WHERE tenant = :tenant AND name = :name;

-- name: put_place
INSERT INTO subscription (tenant, name, position) VALUES (:tenant, :name, :position)
ON CONFLICT (tenant, name) DO UPDATE SET position = excluded.position;

-- name: forget_places
-- Subscriptions that are no more: one that comes back begins anew.
DELETE FROM subscription
WHERE tenant || '/' || name NOT IN (SELECT value FROM json_each(:subscriptions));

-- name: alerts
-- All that is kept.
SELECT id, body FROM alert;

-- name: put_alert
INSERT INTO alert (id, tenant, rule, state, since_ns, resolved_ns, body)
VALUES (:id, :tenant, :rule, :state, :since_ns, :resolved_ns, :body)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, since_ns = excluded.since_ns, resolved_ns = excluded.resolved_ns,
    body = excluded.body;

-- name: drop_alert
DELETE FROM alert WHERE id = :id;

-- name: put_history
INSERT INTO history (tenant, at_ns, change, body) VALUES (:tenant, :at_ns, :change, :body);

-- name: prune_history
DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - :kept;

-- name: put_outgoing
INSERT INTO outbox (receiver, key, body, created_ns) VALUES (:receiver, :key, :body, :now)
ON CONFLICT (receiver, key) DO NOTHING;

-- name: prune_parked
DELETE FROM outbox WHERE parked_ns < :before;

-- name: park_others
-- Give up what is for none of these receivers: nobody delivers it.
UPDATE outbox SET parked_ns = :now, error = 'there is no more such receiver'
WHERE parked_ns IS NULL AND receiver NOT IN (SELECT value FROM json_each(:receivers));

-- name: forget_others
DELETE FROM receiver
WHERE name NOT IN (SELECT value FROM json_each(:receivers))
    AND name NOT IN (SELECT receiver FROM outbox);

-- name: due
-- The oldest that a receiver has not taken.
SELECT id, key, body, created_ns, tries FROM outbox
WHERE receiver = :receiver AND parked_ns IS NULL
ORDER BY id LIMIT 1;

-- name: delivered
DELETE FROM outbox WHERE id = :id;

-- name: tried
UPDATE outbox SET tries = tries + 1, error = :error, parked_ns = :parked WHERE id = :id;

-- name: note_sent
INSERT INTO receiver (name, sent, sent_ns) VALUES (:receiver, 1, :now)
ON CONFLICT (name) DO UPDATE SET sent = sent + 1, sent_ns = :now, error = NULL, error_ns = NULL;

-- name: note_failed
INSERT INTO receiver (name, failed, error, error_ns) VALUES (:receiver, 1, :error, :now)
ON CONFLICT (name) DO UPDATE SET failed = failed + 1, error = :error, error_ns = :now;

-- name: retry
-- Try again what was given up.
UPDATE outbox SET parked_ns = NULL, tries = 0, created_ns = :now
WHERE receiver = :receiver AND parked_ns IS NOT NULL;

-- name: waiting
-- What waits and what was given up, by receiver.
SELECT receiver, count(*) FILTER (WHERE parked_ns IS NULL) AS waiting, count(parked_ns) AS parked
FROM outbox GROUP BY receiver;

-- name: list
SELECT body FROM alert
WHERE tenant = :tenant AND (:state IS NULL OR state = :state) AND (:rule IS NULL OR rule = :rule)
ORDER BY CASE state WHEN 'firing' THEN 0 WHEN 'pending' THEN 1 ELSE 2 END, since_ns DESC, id
LIMIT :limit;

-- name: past
SELECT id, at_ns, change, body FROM history
WHERE tenant = :tenant AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: receivers
SELECT name, sent, sent_ns, failed, error, error_ns FROM receiver;
