"""An image sent to a registry: what others may have fetched since cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.resources import Action

if TYPE_CHECKING:
    from typing import Optional

    from wxops.agent.resources import State


class ImagePush(Action):
    def irreversible(self, saved: State) -> Optional[str]:
        return "an image that was pushed stays in its registry"


KIND = ImagePush()
