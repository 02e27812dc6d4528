"""What the sample shop sells, who carries it, and what carriers write: plain tables, in English and Chinese.

All firms, goods and people are invented. Prices are in minor units: fen, cents, pence.
"""

from __future__ import annotations

from typing import NamedTuple


class Article(NamedTuple):
    sku: str
    en: str
    zh: str
    cny: int
    usd: int


class Carrier(NamedTuple):
    code: str
    en: str
    zh: str
    prefix: str


ARTICLES = (
    Article("LT-101", "Bamboo desk lamp", "竹制台灯", 25900, 4590),
    Article("LT-118", "Lamp shade, linen, 40 cm", "亚麻灯罩 40 厘米", 12950, 2290),
    Article("KT-204", "Enamel kettle, 1.5 l", "搪瓷水壶 1.5 升", 18800, 3200),
    Article("KT-220", "Cast iron pan, 26 cm", "铸铁平底锅 26 厘米", 32900, 5450),
    Article("KT-231", "Porcelain tea set, 6 cups", "白瓷茶具 6 杯装", 45800, 7900),
    Article("BD-310", "Cotton duvet cover, double", "纯棉被套 双人", 29900, 5990),
    Article("BD-322", "Down pillow", "羽绒枕", 19900, 3890),
    Article("CL-405", "Rain jacket, size M", "防雨夹克 M 码", 49900, 8800),
    Article("CL-406", "Rain jacket, size L", "防雨夹克 L 码", 49900, 8800),
    Article("CL-431", "Wool scarf", "羊毛围巾", 16900, 2950),
    Article("EL-502", "Wireless earphones", "无线耳机", 39900, 6999),
    Article("EL-515", "Power bank, 20,000 mAh", "移动电源 20000 毫安时", 15900, 2799),
    Article("EL-533", "Electric toothbrush", "电动牙刷", 21900, 3999),
    Article("TY-601", "Wooden train set", "木制小火车套装", 23900, 4250),
    Article("TY-614", "Kite, dragon", "龙形风筝", 8850, 1675),
    Article("BG-702", "Canvas backpack", "帆布双肩包", 27900, 4999),
)

CARRIERS_ZH = (
    Carrier("beichen", "Polaris Express", "北辰速运", "BC"),
    Carrier("xunda", "Swiftway", "迅达快递", "XD"),
    Carrier("qingniao", "Bluebird Parcel", "青鸟物流", "QN"),
)
CARRIERS_EN = (
    Carrier("harbor", "Harbor Parcel", "港湾包裹", "HP"),
    Carrier("heron", "Heron Post", "苍鹭邮政", "HR"),
)

FAMILY_ZH = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗"
GIVEN_ZH = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "洋",
    "艳",
    "勇",
    "杰",
    "秀英",
    "子涵",
    "雨欣",
    "浩然",
    "思远",
)
FAMILY_EN = ("Smith", "Walker", "Baker", "Turner", "Hughes", "Morgan", "Reed", "Brooks", "Hayes", "Porter", "O'Neill")
GIVEN_EN = ("Anna", "James", "Emily", "Oliver", "Grace", "Henry", "Chloe", "Daniel", "Ruth", "Samuel", "Maria")

PLACES_ZH = ("杭州转运中心", "上海浦东分拨中心", "南京中转站", "武汉分拨中心", "郑州转运中心", "广州白云中转站")
PLACES = {
    "CN": PLACES_ZH,
    "US": ("Newark, NJ hub", "Columbus, OH hub", "Memphis, TN hub", "Reno, NV hub", "Joliet, IL hub"),
    "GB": ("Leeds depot", "Daventry hub", "Bristol depot", "Motherwell depot"),
}

# stage of a scan → the carrier's words
NOTES = {
    "READY": ("Parcel packed and waiting for the carrier", "包裹已打包，等待揽收"),
    "HANDED_OVER": ("Picked up by the carrier", "快递已揽收"),
    "LINEHAUL": ("Left the hub for the next one", "已离开转运中心，发往下一站"),
    "LAST_MILE": ("With the courier, delivery today", "快递员正在派送，今日送达"),
    "RECEIVED": ("Delivered and signed for", "已签收"),
}

CAUSES = ("wrong size", "damaged on arrival", "not as described", "changed my mind", "ordered twice")
