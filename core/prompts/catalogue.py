"""The product's own texts: what every prompt says in English and in Chinese.

Does not render or find sounds. The parts of numbers, dates and amounts stand in `core/phrases/parts.py` and are joined in
here, so that `SOUNDS` is everything that must exist as a file.

Invariants: every name has a text in both languages; names are `[a-z0-9-]`, so a name can never be a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from core.phrases.parts import ALL_NAMES, PARTS, Wording

LANGUAGES = ("en", "zh")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

_MENU = {
    "welcome": Wording("Welcome, and thank you for calling.", "您好，欢迎致电。"),
    "menu-main": Wording(
        "For the status of your order, press 1. For returns, press 2. To speak to a person, press 0.",
        "查询订单，请按1。退货，请按2。人工服务，请按0。",
    ),
    "menu-after-status": Wording(
        "To hear this again, press 1. For another order, press 2. To speak to a person, press 0.",
        "再听一遍，请按1。查询其他订单，请按2。人工服务，请按0。",
    ),
    "menu-person-or-main": Wording(
        "To speak to a person, press 0. For the main menu, press star.",
        "人工服务，请按0。返回主菜单，请按星号键。",
    ),
    "invalid-input": Wording("Sorry, that is not one of the choices.", "对不起，没有这个选项。"),
    "no-input": Wording("Sorry, I did not hear a key.", "对不起，没有收到您的按键。"),
    "callback-offer": Wording(
        "If you would rather be called back, press 1. You keep your place in the queue.",
        "如果您希望我们给您回电，请按1，您的排队位置将为您保留。",
    ),
    "callback-promised": Wording(
        "We will call you back on this number. You keep your place. Goodbye.",
        "我们会拨打这个号码给您回电，您的排队位置已保留。再见。",
    ),
    "goodbye": Wording("Goodbye.", "再见。"),
    "thank-you": Wording("Thank you for calling.", "感谢您的来电。"),
}

_ASKING = {
    "ask-order-number": Wording(
        "Please enter your order number, followed by the pound key.",
        "请输入您的订单号，按井号键结束。",
    ),
    "ask-second-factor": Wording(
        "Please enter the last four digits of the phone number on the order, followed by the pound key.",
        "请输入订单上手机号码的后四位，按井号键结束。",
    ),
    "card-number-refused": Wording(
        "Please do not enter card numbers. Nothing was stored.",
        "请不要输入银行卡号，输入没有保存。",
    ),
    "wrong-length": Wording("Sorry, that number does not have the right length.", "对不起，您输入的位数不对。"),
    "one-moment": Wording("One moment, please.", "请稍等。"),
}

_ORDER = {
    "order-not-found": Wording("Sorry, we found no order for what you entered.", "对不起，没有找到符合您输入的订单。"),
    "order-several-found": Wording("We found several orders.", "我们找到了多个订单。"),
    "order-too-many-tries": Wording(
        "Sorry, that was the last try. A person will help you.", "对不起，输入次数过多，为您转接人工服务。"
    ),
    "shop-unavailable": Wording(
        "Sorry, our order system is not available now. A person can help you.",
        "抱歉，订单系统暂时无法查询，人工服务可以帮助您。",
    ),
    "order-your-order": Wording("Your order", "您的订单"),
    "order-state-placed": Wording("has been received, and is waiting for payment.", "已提交，等待付款。"),
    "order-state-paid": Wording("has been paid, and is being prepared.", "已付款，正在备货。"),
    "order-state-packed": Wording("is packed, and will be shipped soon.", "已打包，即将发货。"),
    "order-state-shipped": Wording("has been shipped.", "已发货。"),
    "order-state-in-transit": Wording("is on its way to you.", "正在运输途中。"),
    "order-state-out-for-delivery": Wording("is out for delivery today.", "正在派送，预计今天送达。"),
    "order-state-delivered": Wording("has been delivered.", "已送达。"),
    "order-state-delayed": Wording("is delayed on its way. We are sorry.", "运输延误了，非常抱歉。"),
    "order-state-partly-shipped": Wording(
        "has been shipped in part. The rest will follow.", "已部分发货，其余商品将随后发出。"
    ),
    "order-state-cancelled": Wording("has been cancelled.", "已取消。"),
    "order-state-return-requested": Wording(
        "has an open return. We are waiting for your parcel.", "已申请退货，我们正在等待您寄回的包裹。"
    ),
    "order-state-return-received": Wording(
        "has come back. Your refund is being prepared.", "的退货已收到，正在办理退款。"
    ),
    "order-state-refunded": Wording("has been refunded.", "已退款。"),
    "order-state-refund-late": Wording(
        "has come back, but your refund is late. We are sorry.", "的退货已收到，但退款延迟了，非常抱歉。"
    ),
    "order-state-exchange": Wording("is being exchanged.", "正在换货处理中。"),
    "order-parcels": Wording("It comes in", "一共分成"),
    "order-parcel-number": Wording("Parcel", "包裹"),
    "order-expected-on": Wording("It is expected on", "预计送达日期是"),
    "order-delivered-on": Wording("It was delivered on", "送达日期是"),
    "order-refund-of": Wording("The amount of the refund is", "退款金额是"),
    "order-refund-expected-by": Wording("You should have it by", "预计到账日期是"),
    "order-refund-was-due": Wording("It was due on", "应到账日期是"),
}

_RETURNS = {
    "returns-how": Wording(
        "You can return goods within fourteen days. A person will arrange it.",
        "收货后十四天内可以退货，请联系人工服务办理。",
    ),
}

_PERSON = {
    "connecting": Wording("We are connecting you to an agent.", "正在为您转接人工服务。"),
    "queue-busy": Wording(
        "All agents are busy. We will be with you soon.",
        "坐席正忙，请耐心等待。",
    ),
    "queue-position": Wording("You are number", "您目前排在第"),
    "queue-position-end": Wording("in the queue.", "位。"),
    "queue-position-next": Wording("You are next in the queue.", "下一位就轮到您。"),
    "queue-wait-under": Wording("Your wait will be less than", "预计等待时间不到"),
    "queue-wait-about": Wording("Your wait will be about", "预计等待时间大约"),
    "queue-wait-over": Wording("Your wait will be more than", "预计等待时间超过"),
    "queue-many-callers": Wording(
        "We have many more callers than usual, and it will take longer today.", "目前来电较多，等待时间会比平时长。"
    ),
    "queue-still-waiting": Wording("Thank you for waiting.", "感谢您的耐心等待。"),
    "closed": Wording("We are closed now.", "现在是非工作时间。"),
    "voicemail-invite": Wording(
        "Please leave a message after the tone, and we will call you back.", "请在提示音后留言，我们会尽快回电。"
    ),
    # Played by the dialplan itself when our controller is gone.
    "fallback-one-moment": Wording("One moment, please. We are still here.", "请稍等，我们仍在线上。"),
    # Played by the dialplan itself to whom it cannot take.
    "lines-busy": Wording(
        "All our lines are busy. Please call again in a few minutes.", "线路繁忙，请您几分钟后再拨。"
    ),
    "system-error": Wording("Sorry, something went wrong.", "抱歉，系统出现了问题。"),
    "agent-ready": Wording("You are ready.", "您已就绪。"),
    "agent-not-ready": Wording("You are not ready.", "您已暂停接听。"),
    # Whispered to an agent before a caller: which queue, and what kind of customer.
    "whisper-queue-service": Wording("Customer service.", "客户服务来电。"),
    "whisper-queue-express": Wording("Express line.", "快线来电。"),
    "whisper-tier-vip": Wording("V I P customer.", "贵宾客户。"),
    "whisper-tier-gold": Wording("Gold customer.", "金牌客户。"),
    "whisper-tier-silver": Wording("Silver customer.", "银牌客户。"),
}

# Played in one language to those who want the other: the file of `en` speaks Chinese, the file of `zh` speaks English.
CROSSED: Mapping[str, Wording] = MappingProxyType(
    {"menu-other-language": Wording(en="中文服务，请按9。", zh="For English, press 9.")}
)

TEXTS: Mapping[str, Wording] = MappingProxyType(_MENU | _ASKING | _ORDER | _RETURNS | _PERSON | dict(CROSSED))
SPOKEN: Mapping[str, Wording] = MappingProxyType(dict(PARTS) | dict(TEXTS))
SOUNDS: frozenset[str] = frozenset(TEXTS) | ALL_NAMES


def text_of(name: str, language: str) -> str:
    """What the prompt says, "" for silences. Raises KeyError for a name that is not ours."""
    if name.startswith("silence-"):
        return ""
    return str(getattr(SPOKEN[name], language))


def voice_of(name: str, language: str) -> str:
    """The language in which the file of `language` is spoken. Letters have their English names in Chinese, too."""
    if name.startswith("letter-"):
        return "en"
    if name in CROSSED:
        return "zh" if language == "en" else "en"
    return language
