-- SPDX-License-Identifier: Apache-2.0
-- What the demonstration's page shows of the audit, as one JSON document; for a member of speke_auditor.
SELECT json_build_object(
    'read_at', now(),
    'rows', (SELECT coalesce(json_agg(r ORDER BY r.event_id DESC), '[]'::json)
               FROM unnest(ARRAY['release', 'delivery', 'refusal']) AS kind
              CROSS JOIN LATERAL
                    (SELECT event_id, at, event, tenant, client, content_id, speke_version, detail, status,
                            cardinality(kids) AS keys, cardinality(created_kids) AS made
                       FROM speke.v_audit
                      WHERE event = kind
                      ORDER BY event_id DESC
                      LIMIT 8) AS r),
    'turned_away', (SELECT coalesce(json_agg(t), '[]'::json)
                      FROM (SELECT tenant, status, reason, sum(count) AS count, max(last_at) AS last_at
                              FROM speke.v_player_refusal
                             GROUP BY tenant, status, reason
                             ORDER BY max(last_at) DESC
                             LIMIT 10) AS t))
