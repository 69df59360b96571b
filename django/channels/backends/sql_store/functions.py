"""
The calls that PostgreSQL carries out itself, one round trip each.

In: queues.py and groups.py, which do the same with statements elsewhere. Out: the
tables. A process that stands still in a call holds no lock: the server goes on.

{tables} and <fragments> are replaced. Variables begin with v_; ``v`` is the row of
the queue that is locked.
"""

from .tables import QUEUE_COLUMNS

FRAGMENTS = {
    "moment": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    # Lock the queue v_name in v, and make it if it is not there.
    "lock": """
        LOOP
            SELECT * INTO v FROM {queue} WHERE name = v_name FOR UPDATE;
            EXIT WHEN FOUND;
            INSERT INTO {queue} (name) VALUES (v_name) ON CONFLICT DO NOTHING;
        END LOOP;
        v_now := <moment>;""",
    # See Row.use().
    "use": """
        v.used := v_now;
        IF v_now >= v.bucket THEN
            IF v_now - v.bucket < 1000000 THEN
                v.sent_last := v.sent - v.sent_base;
                v.refused_last := v.refused - v.refused_base;
                v.bucket := v.bucket + 1000000;
            ELSE
                v.sent_last := 0;
                v.refused_last := 0;
                v.bucket := v_now + 1000000;
            END IF;
            v.sent_base := v.sent;
            v.refused_base := v.refused;
        END IF;""",
    # See Queues.purge().
    "purge": """
        IF v.soonest <= v_now THEN
            DELETE FROM {entry} WHERE queue = v_name AND deadline <= v_now;
            GET DIAGNOSTICS v_gone = ROW_COUNT;
            v.expired := v.expired + v_gone;
            v.pending := v.pending - v_gone;
            SELECT min(deadline) INTO v.soonest FROM {entry} WHERE queue = v_name;
        END IF;""",
    # See Queues.put(); v_count is how many there are, and then how many fit.
    "put": """
        <use>
        IF v.pending + v_count > v_capacity THEN
            <purge>
            v_room := greatest(v_capacity - v.pending, 0);
            v.refused := v.refused + greatest(v_count - v_room, 0);
            v_count := least(v_count, v_room);
        END IF;
        IF v_count > 0 THEN
            INSERT INTO {entry} (queue, position, deadline, mark, payload)
            SELECT v_name, v.tail + number - 1, v_now + v_expiry, 0, item
            FROM unnest(v_payloads[v_first : v_first + v_count - 1])
                WITH ORDINALITY AS given (item, number);
            v.tail := v.tail + v_count;
            v.pending := v.pending + v_count;
            v.sent := v.sent + v_count;
            v.soonest := least(v.soonest, v_now + v_expiry);
        END IF;""",
    "save": (
        f"UPDATE {{queue}} SET {', '.join(f'{c} = v.{c}' for c in QUEUE_COLUMNS)} "
        "WHERE name = v_name;"
    ),
    # See Processes.ring().
    "ring": """
        FOR v_process IN
            SELECT process FROM {waiter} JOIN {process} ON incarnation = process
            WHERE queue = v_name AND lease > v_now ORDER BY since LIMIT v_count
        LOOP
            DELETE FROM {waiter} WHERE queue = v_name AND process = v_process;
            PERFORM pg_notify('channels_' || v_process, v_name);
        END LOOP;""",
}

VARIABLES = """
    v {queue}%ROWTYPE;
    v_now bigint;
    v_name text;
    v_gone bigint;
    v_room bigint;
    v_process text;
"""

APPEND = """
CREATE OR REPLACE FUNCTION {append}(
    v_names text[], v_capacities bigint[], v_counts bigint[], v_payloads bytea[],
    v_expiry bigint
) RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    <variables>
    v_capacity bigint;
    v_count bigint;
    v_first bigint := 1;
    v_stored bigint[] := ARRAY[]::bigint[];
BEGIN
    FOR v_index IN 1 .. cardinality(v_names) LOOP
        v_name := v_names[v_index];
        v_capacity := v_capacities[v_index];
        v_count := v_counts[v_index];
        <lock>
        <put>
        <save>
        <ring>
        v_stored := v_stored || v_count;
        v_first := v_first + v_counts[v_index];
    END LOOP;
    RETURN v_stored;
END $$
"""

TAKE = """
CREATE OR REPLACE FUNCTION {take}(v_names text[], v_limit bigint, v_incarnation text)
RETURNS TABLE (
    v_queue text, v_payload bytea, v_left bigint, v_mark bigint, v_group text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    <variables>
    v_count bigint := 1;
    v_last bigint;
    v_entry record;
    v_found boolean := false;
BEGIN
    FOR v_name IN SELECT DISTINCT unnest(v_names) ORDER BY 1 LOOP
        IF v_incarnation IS NULL THEN
            PERFORM 1 FROM {queue} WHERE name = v_name FOR UPDATE;
        ELSE
            <lock>
        END IF;
    END LOOP;
    v_now := <moment>;
    FOREACH v_name IN ARRAY v_names LOOP
        SELECT * INTO v FROM {queue} WHERE name = v_name;
        CONTINUE WHEN NOT FOUND OR v.pending + v.controls + v.missed = 0;
        v_queue := v_name;
        <purge>
        WHILE v.pending + v.controls > 0 AND v_limit > 0 LOOP
            SELECT max(position) INTO v_last FROM (
                SELECT position FROM {entry}
                WHERE queue = v_name AND position >= v.head
                ORDER BY position LIMIT v_limit
            ) AS first_ones;
            FOR v_entry IN
                WITH gone AS (
                    DELETE FROM {entry} WHERE queue = v_name
                    AND position BETWEEN v.head AND v_last
                    RETURNING position, deadline, mark, payload
                )
                SELECT * FROM gone ORDER BY position
            LOOP
                v_found := true;
                v_payload := v_entry.payload;
                v_left := v_entry.deadline - v_now;
                v_mark := v_entry.mark;
                v_group := NULL;
                RETURN NEXT;
                IF v_entry.deadline IS NULL THEN
                    v.controls := v.controls - 1;
                ELSE
                    v.pending := v.pending - 1;
                    v.delivered := v.delivered + 1;
                    v_limit := v_limit - 1;
                END IF;
            END LOOP;
            v.head := v_last + 1;
        END LOOP;
        IF v.pending = 0 THEN
            v.soonest := NULL;
        END IF;
        IF v.pending + v.controls > 0 THEN
            <ring>
        ELSIF v.missed > 0 THEN
            FOR v_entry IN
                DELETE FROM {missed} WHERE queue = v_name RETURNING group_name, number
            LOOP
                v_found := true;
                v_payload := NULL;
                v_left := NULL;
                v_mark := v_entry.number;
                v_group := v_entry.group_name;
                RETURN NEXT;
            END LOOP;
            v.missed := 0;
        END IF;
        <use>
        <save>
    END LOOP;
    IF v_incarnation IS NOT NULL AND NOT v_found THEN
        INSERT INTO {waiter} (queue, process, since)
        SELECT DISTINCT name, v_incarnation, v_now FROM unnest(v_names) AS given (name)
        ON CONFLICT DO NOTHING;
    END IF;
END $$
"""

SEND_GROUP = """
CREATE OR REPLACE FUNCTION {send_group}(
    v_group text, v_payload bytea, v_expiry bigint
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    <variables>
    v_member record;
    v_capacity bigint;
    v_count bigint;
    v_first bigint := 1;
    v_payloads bytea[] := ARRAY[v_payload];
BEGIN
    FOR v_member IN
        SELECT name, owner, capacity,
            coalesce(CASE owner WHEN '' THEN until ELSE lease END, 0) AS ends
        FROM {member} LEFT JOIN {process} ON incarnation = owner
        WHERE group_name = v_group ORDER BY name
    LOOP
        CONTINUE WHEN v_member.ends <= <moment>;
        v_name := v_member.name;
        v_capacity := v_member.capacity;
        v_count := 1;
        <lock>
        <put>
        IF v_count = 0 THEN
            v.sent := v.sent + 1;
            v.dropped := v.dropped + 1;
            IF v_name LIKE '%!' THEN
                UPDATE {missed} SET number = number + 1
                WHERE queue = v_name AND group_name = v_group;
                IF NOT FOUND THEN
                    INSERT INTO {missed} (queue, group_name, number)
                    VALUES (v_name, v_group, 1);
                    v.missed := v.missed + 1;
                END IF;
            END IF;
        END IF;
        <save>
        <ring>
    END LOOP;
    DELETE FROM {member} WHERE group_name = v_group AND (
        owner = '' AND until <= <moment> OR owner <> '' AND NOT EXISTS (
            SELECT 1 FROM {process} WHERE incarnation = owner AND lease > <moment>
        )
    );
END $$
"""

FUNCTIONS = {"append": APPEND, "take": TAKE, "send_group": SEND_GROUP}


def expand(text):
    """Return the text of a function, with its fragments and without their marks."""
    text = text.replace("<variables>", VARIABLES)
    while any(f"<{name}>" in text for name in FRAGMENTS):
        for name, fragment in FRAGMENTS.items():
            text = text.replace(f"<{name}>", fragment)
    return text
