-- name: actions
-- The last recovery actions of a tenant, by category, action and component.
SELECT
    category, action, component,
    sum(outcome <> 'skipped') AS tried,
    sum(outcome = 'succeeded') AS succeeded,
    sum(outcome = 'skipped') AS skipped,
    avg(CASE WHEN outcome <> 'skipped' THEN duration_ns END) AS duration_ns,
    max(time_ns) AS last_ns
FROM (
    SELECT category, action, component, outcome, duration_ns, time_ns FROM recovery_action
    WHERE tenant = :tenant AND time_ns >= :since
    ORDER BY time_ns DESC, partition DESC, position DESC, place DESC LIMIT :rows
)
WHERE (:component IS NULL OR component = :component)
    AND (:category IS NULL OR category = :category)
GROUP BY category, action, component
ORDER BY category, action, component;

-- name: more
-- Whether a tenant has older actions than those.
SELECT 1 FROM recovery_action
WHERE tenant = :tenant AND time_ns >= :since
LIMIT 1 OFFSET :rows;
