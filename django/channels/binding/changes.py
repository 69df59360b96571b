"""
What happens to the instances of models that are bound.

In: signals of models. Out: send_changes() of the bindings, with an instance as it
was stored, and as it is, or what prepare_deletion() returned.
"""

from django.db import connections
from django.db.models import signals

# {model: the bindings of it}
_bindings = {}


def watch(model, binding):
    """Have a binding send every change of a model from now on."""
    bindings = _bindings.setdefault(model, [])
    if binding in bindings:
        return
    bindings.append(binding)
    for signal in (signals.pre_save, signals.pre_delete):
        signal.connect(_before_change, sender=model)
    for signal in (signals.post_save, signals.post_delete):
        signal.connect(_after_change, sender=model)


def forget(model, binding):
    """Undo watch(). What is watched by nobody costs nothing."""
    bindings = _bindings.get(model, [])
    if binding in bindings:
        bindings.remove(binding)
    if bindings:
        return
    _bindings.pop(model, None)
    for signal in (signals.pre_save, signals.pre_delete):
        signal.disconnect(_before_change, sender=model)
    for signal in (signals.post_save, signals.post_delete):
        signal.disconnect(_after_change, sender=model)


def watched_models():
    """Return the list of the models that are watched."""
    return list(_bindings)


def _before_change(sender, instance, using, signal, raw=False, **kwargs):
    """Keep what is stored until the change is done."""
    if raw:
        return
    adding = instance._state.adding and sender._meta.pk.has_default()
    is_new = instance.pk is None or adding
    kept = None if is_new else _get_stored(sender, instance, using)
    if signal is signals.pre_delete:
        # What it is related to goes before it does.
        kept = [
            binding.prepare_deletion(kept, using, **kwargs)
            for binding in (_bindings[sender] if kept is not None else ())
        ]
    # Receivers may save it again within the change.
    instance.__dict__.setdefault("_channels_kept", []).append(kept)


def _after_change(sender, instance, using, signal, raw=False, **kwargs):
    """Send what has changed."""
    if raw:
        return
    kept = _take_kept(instance)
    if signal is signals.post_delete:
        for send in kept or ():
            send()
        return
    new = instance
    if any(hasattr(value, "resolve_expression") for value in vars(new).values()):
        # The database alone knows what an F() became.
        new = _get_stored(sender, instance, using)
    for binding in tuple(_bindings[sender]):
        binding.send_changes(kept, new, using, **kwargs)


def _take_kept(instance):
    """Return what was kept before the innermost change."""
    all_kept = instance.__dict__.get("_channels_kept")
    if not all_kept:
        return None
    kept = all_kept.pop()
    if not all_kept:
        del instance.__dict__["_channels_kept"]
    return kept


def _get_stored(model, instance, using):
    """Return another instance, with the values in the database, or None."""
    rows = model._base_manager.using(using).filter(pk=instance.pk)
    connection = connections[using]
    if connection.in_atomic_block and connection.features.has_select_for_update:
        # Nobody else moves it from these groups before this transaction ends.
        rows = rows.select_for_update()
    return rows.first()
